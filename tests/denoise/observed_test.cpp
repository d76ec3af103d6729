#include "headstart/denoise/observed.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "headstart/denoise/gaussian.h"
#include "headstart/solve/one_step.h"

namespace headstart {
namespace {

TEST(Observed, TellsWhatASolverSawAndChangesNothing) {
  const IsotropicDenoiser inner(torch::zeros({3}, torch::kFloat64), 4);
  std::vector<double> levels;
  const Observed observed(inner, [&](const torch::Tensor& x, const torch::Tensor& sigma, const torch::Tensor& denoised) {
    levels.push_back(sigma[0].item<double>());
    EXPECT_EQ(sigma.sizes(), torch::IntArrayRef({2}));
    EXPECT_TRUE(torch::equal(denoised, inner.denoise(x, sigma)));
  });
  const torch::Tensor x = torch::ones({2, 3}, torch::kFloat64) * 5;
  EXPECT_TRUE(torch::equal(sample_heun(observed, x, {5, 2, 0}), sample_heun(inner, x, {5, 2, 0})));
  EXPECT_EQ(levels, (std::vector<double>{5, 2, 2}));
}

TEST(Observed, NeedsNobodyToListen) {
  const IsotropicDenoiser inner(torch::zeros({3}, torch::kFloat64), 4);
  const torch::Tensor x = torch::ones({2, 3}, torch::kFloat64);
  EXPECT_TRUE(torch::equal(Observed(inner, {}).denoise(x, 1.0), inner.denoise(x, 1.0)));
}

}  // namespace
}  // namespace headstart
