#include "headstart/denoise/rescaled.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "../support/gaussians.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/moments/in_range.h"

namespace headstart {
namespace {

using torch::Tensor;

TEST(Rescaled, OfAGaussianIsTheGaussianOfTheMappedData) {
  const GaussianStats s = random_gaussian(6, {.rank = 3});
  const auto inner = std::make_shared<GaussianDenoiser>(s);
  const Rescaled halved(inner, {.slope = 0.5, .offset = 0.5});  // [-1, 1] to [0, 1]
  const GaussianDenoiser mapped(in_range(s, 0, 1));
  const Tensor x = 3 * random_normal({4, 6}, 2), sigma = torch::tensor({0.1, 1.0, 3.0, 20.0}, torch::kFloat64);
  EXPECT_LT(largest_difference(halved.denoise(x, sigma), mapped.denoise(x, sigma)), 1e-14);
  EXPECT_EQ(message_of<InvalidArgument>([&] { Rescaled(inner, {.slope = 0}); }), "[Rescaled] expected a slope > 0, got 0");
}

}  // namespace
}  // namespace headstart
