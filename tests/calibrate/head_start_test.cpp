#include "headstart/calibrate/head_start.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

#include "../support/gaussians.h"
#include "headstart/denoise/gaussian.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr std::int64_t kHeadStartDim = 6;

/// A denoiser that is right below a level and shrinks too much above, as a network that was not trained on high noise may.
class WrongAbove : public Denoiser {
 public:
  WrongAbove(const Denoiser& right, double level) : right_(right), level_(level) {}
  std::int64_t dim() const override { return right_.dim(); }

 private:
  Tensor evaluate(const Tensor& x, const Tensor& sigma) const override {
    return torch::where(sigma > level_, 0.5, 1.0) * right_.denoise(x, sigma.flatten());
  }
  const Denoiser& right_;
  double level_;
};

TEST(Crossing, IsWhereTheNetworkStartsToDenoiseBetter) {
  const GaussianStats s = random_gaussian(kHeadStartDim);
  const GaussianDenoiser gaussian(s);
  const Tensor points = s.mean + (random_normal({512, s.rank()}, 3) * s.eigenvalues.sqrt()).matmul(s.basis.t());
  const Tensor noise = random_normal({512, kHeadStartDim}, 4);
  GaussianStats wide = s;
  wide.eigenvalues = 30 * s.eigenvalues;
  const Crossing crossing = find_crossing(WrongAbove(gaussian, 3), gaussian, points, noise, {40, 20, 10, 5, 2, 1, 0.5});
  EXPECT_EQ(crossing.sigma, std::optional(0.5)) << "equal below 3: as good to the end";
  const Crossing other = find_crossing(gaussian, GaussianDenoiser(wide), points, noise, {2, 1, 0.5, 0.2});
  EXPECT_EQ(other.sigma, std::nullopt);
  EXPECT_EQ(other.errors.size(), 2) << "two levels lost are enough";
}

/// A denoiser that is right above a level and shrinks a little too much below.
class WrongBelow : public Denoiser {
 public:
  WrongBelow(const Denoiser& right, double level, double factor) : right_(right), level_(level), factor_(factor) {}
  std::int64_t dim() const override { return right_.dim(); }

 private:
  Tensor evaluate(const Tensor& x, const Tensor& sigma) const override {
    return torch::where(sigma < level_, factor_, 1.0) * right_.denoise(x, sigma.flatten());
  }
  const Denoiser& right_;
  double level_, factor_;
};

TEST(Crossing, IsAboveTheLevelsThatAreLost) {
  const GaussianStats s = random_gaussian(kHeadStartDim);
  const GaussianDenoiser gaussian(s);
  const Tensor points = s.mean + (random_normal({512, s.rank()}, 3) * s.eigenvalues.sqrt()).matmul(s.basis.t());
  const Tensor noise = random_normal({512, kHeadStartDim}, 4);
  const auto crossing = [&](double factor) {
    return find_crossing(gaussian, WrongBelow(gaussian, 3, factor), points, noise, {40, 20, 10, 5, 2, 1, 0.5});
  };
  EXPECT_EQ(crossing(0.5).sigma, std::optional(5.0));
  EXPECT_EQ(crossing(0.5).errors.size(), 6) << "40 to 5, and the two lost";
  EXPECT_EQ(crossing(1 - 1e-6).sigma, std::optional(0.5)) << "less than chance can tell is not lost";
}

TEST(Levels, AreInUnitsOfTheData) {
  for (const auto levels : {jumps_to_try, switches_to_try}) {
    const auto whole = levels(1), half = levels(0.5);
    ASSERT_EQ(whole.size(), half.size());
    for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_DOUBLE_EQ(half[i], whole[i] / 2);
  }
  EXPECT_NEAR(crossing_levels(0.002, 80, 0.5).front(), 40, 1e-12);
  EXPECT_NEAR(crossing_levels(0.002, 80, 0.5).back(), 0.5, 1e-12);
  EXPECT_NEAR(crossing_levels(0.002, 20, 1).front(), 20, 1e-12);
}

/// Ends at a distance from the reference 0 that only the head start decides.
Tensor at_distance(const HeadStart& start) {
  const double skip = start.sigma_skip ? std::abs(std::log(*start.sigma_skip / 5)) : 3;
  const double residual = start.sigma_c ? *start.sigma_c : 3;
  return torch::full({2, 3}, skip + residual, torch::kFloat64);
}

TEST(ChooseHeadStart, TakesTheJumpAndTheSwitchThatEndNearest) {
  const Choice choice =
      choose_head_start(torch::zeros({2, 3}, torch::kFloat64), {.skips = {20, 10, 5, 2}, .switches = {1, 0.5, 2}}, at_distance);
  EXPECT_EQ(choice.best.sigma_skip, std::optional(5.0));
  EXPECT_EQ(choice.best.sigma_c, std::optional(0.5));
  ASSERT_EQ(choice.trials.size(), 1 + 4 + 2 + 1) << "none, jumps, other switches, no switch";
  EXPECT_EQ(choice.trials[0].start.sigma_skip, std::nullopt);
  EXPECT_NEAR(choice.trials[0].error, 6, 1e-12) << "root mean square of the difference";
}

TEST(ChooseHeadStart, PrefersTheShorterJumpOfTwoThatAreAsGood) {
  const auto nearly_equal = [](const HeadStart& start) {
    return torch::full({1, 1}, !start.sigma_skip ? 2.0 : *start.sigma_skip == 20 ? 1.04 : 1.0, torch::kFloat64);
  };
  const Tensor reference = torch::zeros({1, 1}, torch::kFloat64);
  EXPECT_EQ(choose_head_start(reference, {.skips = {20, 5}, .switches = {}}, nearly_equal).best.sigma_skip, std::optional(20.0));
}

TEST(ChooseHeadStart, LeavesAloneWhatIsGiven) {
  const Tensor reference = torch::zeros({2, 3}, torch::kFloat64);
  const Choice switches = choose_head_start(reference, {.skips = {}, .switches = {1, 0.5}, .given = {.sigma_skip = 20}}, at_distance);
  EXPECT_EQ(switches.best.sigma_skip, std::optional(20.0));
  EXPECT_EQ(switches.best.sigma_c, std::optional(0.5));
  const Choice skips = choose_head_start(reference, {.skips = {20, 5}, .switches = {}, .given = {.sigma_c = 2}}, at_distance);
  EXPECT_EQ(skips.best.sigma_skip, std::optional(5.0));
  EXPECT_EQ(skips.best.sigma_c, std::optional(2.0));
}

TEST(ChooseHeadStart, TakesNothingThatIsNotFinite) {
  const auto diverging = [](const HeadStart& start) { return torch::full({1, 1}, start.sigma_skip ? std::nan("") : 1.0, torch::kFloat64); };
  const Choice choice = choose_head_start(torch::zeros({1, 1}, torch::kFloat64), {.skips = {20}, .switches = {}}, diverging);
  EXPECT_EQ(choice.best, HeadStart{});
  EXPECT_TRUE(std::isinf(choice.trials[1].error));
}

TEST(ChooseHeadStart, TakesNoneWhereNoneIsBest) {
  const auto worse_with_help = [](const HeadStart& start) {
    return torch::full({1, 1}, start.sigma_skip || start.sigma_c ? 2.0 : 1.0, torch::kFloat64);
  };
  const Choice choice = choose_head_start(torch::zeros({1, 1}, torch::kFloat64), {.skips = {20, 5}, .switches = {1}}, worse_with_help);
  EXPECT_EQ(choice.best.sigma_skip, std::nullopt);
  EXPECT_EQ(choice.best.sigma_c, std::nullopt);
}

}  // namespace
}  // namespace headstart
