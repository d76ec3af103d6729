#include "headstart/denoise/smoothed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/empirical.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kSmoothDim = 10;

std::shared_ptr<const Denoiser> empirical() {
  return std::make_shared<EmpiricalDenoiser>(random_normal({200, kSmoothDim}, 3).to(torch::kFloat32));
}

TEST(SmoothedDenoiser, WithoutARadiusIsTheInnerDenoiser) {
  const auto inner = empirical();
  const Tensor x = random_normal({5, kSmoothDim}, 4);
  EXPECT_LT(largest_difference(SmoothedDenoiser(inner, {.kappa = 0}).denoise(x, 0.3), inner->denoise(x, 0.3)), 1e-15);
}

TEST(SmoothedDenoiser, AveragesTheScoreOverItsShifts) {
  const auto inner = empirical();
  const SmoothedDenoiser smoothed(inner, {.kappa = 0.4, .draws = 6, .seed = 11});
  const Tensor x = random_normal({5, kSmoothDim}, 4), sigma = torch::full({}, 0.3, torch::kFloat64);
  Tensor mean = torch::zeros_like(x);
  for (std::int64_t m = 0; m < 6; ++m) mean += score(*inner, x + smoothed.shifts()[m], sigma) / 6;
  EXPECT_LT(largest_difference(score(smoothed, x, sigma), mean), 1e-12);
  EXPECT_GT(largest_difference(score(smoothed, x, sigma), score(*inner, x, sigma)), 0.1);
}

TEST(SmoothedDenoiser, DrawsOppositePairsOfTheRadius) {
  const Tensor shifts = SmoothedDenoiser(empirical(), {.kappa = 0.4, .draws = 2000, .seed = 5}).shifts();
  EXPECT_TRUE(torch::equal(shifts.narrow(0, 0, 1000), -shifts.narrow(0, 1000, 1000)));
  // 10,000 normal values: the standard deviation is off by 0.7 %, rms; 5 times that happens less than once in a million seeds.
  EXPECT_NEAR(shifts.std().item<double>(), 0.4, 0.4 * 0.035);
}

TEST(SmoothedDenoiser, ChangesNothingThatIsAffine) {
  const auto gaussian = std::make_shared<GaussianDenoiser>(random_gaussian(kSmoothDim));
  const Tensor x = random_normal({5, kSmoothDim}, 4);
  EXPECT_LT(largest_difference(SmoothedDenoiser(gaussian, {.kappa = 0.7}).denoise(x, 1.1), gaussian->denoise(x, 1.1)), 1e-14);
}

TEST(SmoothedDenoiser, IsTheSameForEqualSeedsOnly) {
  const auto inner = empirical();
  const Tensor x = random_normal({5, kSmoothDim}, 4);
  const auto with = [&](std::uint64_t seed) { return SmoothedDenoiser(inner, {.kappa = 0.4, .seed = seed}).denoise(x, 0.3); };
  EXPECT_TRUE(torch::equal(with(1), with(1)));
  EXPECT_GT(largest_difference(with(1), with(2)), 1e-3);
}

TEST(SmoothedDenoiser, RefusesARadiusAndDrawsThatAreNone) {
  const auto refusal = [](const SmoothedOptions& options) {
    return message_of<InvalidArgument>([&] { SmoothedDenoiser(empirical(), options); });
  };
  EXPECT_EQ(refusal({.kappa = -1}), "[SmoothedDenoiser] expected kappa >= 0, got -1");
  EXPECT_THAT(refusal({.kappa = std::nan("")}), HasSubstr("got nan"));
  EXPECT_EQ(refusal({.kappa = 1, .draws = 3}), "[SmoothedDenoiser] expected an even number of draws, at least 2, got 3");
  EXPECT_THAT(refusal({.kappa = 1, .draws = 0}), HasSubstr("got 0"));
  EXPECT_THAT(message_of<InvalidArgument>([] { SmoothedDenoiser(nullptr, {}); }), HasSubstr("got none"));
}

}  // namespace
}  // namespace headstart
