#include "headstart/solve/residual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"
#include "headstart/solve/dpm_solver.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kResidualDim = 6;

Solver residual_over(const GaussianStats& s, double sigma_c = 0) { return residual_dpmpp_2m(std::make_shared<GaussianPart>(s), sigma_c); }

TEST(ResidualDpmpp2m, IsTheExactFlowWhereThereIsNoResidual) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kResidualDim, cut);
    const Tensor x = s.mean + 80 * random_normal({3, kResidualDim}, 2);
    const auto sigmas = karras_sigmas({.steps = 5, .final_zero = false});
    const Tensor exact = gaussian_flow(s, x, {.from = 80, .to = sigmas.back()});
    EXPECT_LT(largest_difference(residual_over(s)(GaussianDenoiser(s), x, sigmas, {}), exact), 1e-11);
  }
}

TEST(ResidualDpmpp2m, WithAGaussianOfNoVarianceIsDpmSolver) {
  GaussianStats point = random_gaussian(kResidualDim, {.rank = 3});
  point.eigenvalues = torch::zeros_like(point.eigenvalues);
  point.tail = 0;
  const MixtureDenoiser denoiser(random_mixture(kResidualDim, 3, {.rank = 3}));
  const Tensor x = 80 * random_normal({3, kResidualDim}, 2);
  const auto sigmas = karras_sigmas({.steps = 9});
  EXPECT_LT(largest_difference(residual_over(point)(denoiser, x, sigmas, {}), sample_dpmpp_2m(denoiser, x, sigmas)), 1e-12);
}

TEST(ResidualDpmpp2m, IsDpmSolverBelowTheSwitch) {
  const MixtureDenoiser denoiser(random_mixture(kResidualDim, 3, {.rank = 3}));
  const GaussianStats s = random_gaussian(kResidualDim);
  const Tensor x = 80 * random_normal({3, kResidualDim}, 2);
  const auto sigmas = karras_sigmas({.steps = 9});
  EXPECT_LT(largest_difference(residual_over(s, 100)(denoiser, x, sigmas, {}), sample_dpmpp_2m(denoiser, x, sigmas)), 1e-11);
  EXPECT_GT(largest_difference(residual_over(s, 1)(denoiser, x, sigmas, {}), sample_dpmpp_2m(denoiser, x, sigmas)), 1e-4);
}

TEST(ResidualDpmpp2m, HasOrderTwoOnAMixture) {
  const MixtureDenoiser denoiser(random_mixture(kResidualDim, 3, {.rank = 3}));
  const GaussianStats s = random_gaussian(kResidualDim);
  const Tensor x = 10 * random_normal({4, kResidualDim}, 2);
  const auto grid = [](std::int64_t steps) {
    return spaced_sigmas(log_spacing(), {.steps = steps, .sigma_min = 0.5, .sigma_max = 10, .final_zero = false});
  };
  const Tensor exact = sample_dpmpp_3s(denoiser, x, grid(1201));
  const auto error = [&](std::int64_t steps) { return (residual_over(s)(denoiser, x, grid(steps), {}) - exact).norm().item<double>(); };
  EXPECT_NEAR(std::log2(error(161) / error(321)), 2.0, 0.2);
}

TEST(ResidualDpmpp2m, SpendsOneEvaluationAStep) {
  const GaussianStats s = random_gaussian(kResidualDim);
  const GaussianDenoiser denoiser(s);
  const Counted counted(denoiser);
  residual_over(s, 1)(counted, torch::zeros({2, kResidualDim}, torch::kFloat64), karras_sigmas({.steps = 8}), {});
  EXPECT_EQ(counted.nfe(), 8);
  EXPECT_THAT(message_of<InvalidArgument>([&] { residual_over(s, -1); }), HasSubstr("sigma_c >= 0, got -1"));
}

}  // namespace
}  // namespace headstart
