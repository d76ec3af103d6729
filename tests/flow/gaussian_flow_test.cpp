#include "headstart/flow/gaussian_flow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/flow/teleport.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kDim = 10;

/// dx/dlog(sigma) = x - D(x; sigma) by classical Runge-Kutta in small equal steps of log sigma: accurate, and shares no formula with the
/// flow.
Tensor integrate(const Denoiser& denoiser, Tensor x, double from, double to, int steps) {
  const double h = std::log(to / from) / steps;
  const auto f = [&](const Tensor& state, double u) { return state - denoiser.denoise(state, std::exp(u)); };
  double u = std::log(from);
  for (int i = 0; i < steps; ++i, u += h) {
    const Tensor a = f(x, u), b = f(x + 0.5 * h * a, u + 0.5 * h), c = f(x + 0.5 * h * b, u + 0.5 * h), d = f(x + h * c, u + h);
    x = x + h / 6 * (a + 2 * b + 2 * c + d);
  }
  return x;
}

TEST(GaussianFlow, SolvesTheProbabilityFlowOde) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kDim, cut);
    const GaussianDenoiser denoiser(s);
    const Tensor x = s.mean + 80 * random_normal({6, kDim}, 3);
    for (const double to : {19.35, 1.0, 0.002}) {
      const Tensor numeric = integrate(denoiser, x, 80, to, 600);
      EXPECT_LT(largest_difference(gaussian_flow(s, x, {.from = 80, .to = to}), numeric), 1e-6)
          << "to " << to << ", rank " << s.rank() << ", tail " << s.tail;
    }
  }
}

TEST(GaussianFlow, ComposesAcrossIntermediateSigma) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kDim, cut);
    const Tensor x = s.mean + 80 * random_normal({6, kDim}, 4);
    const Tensor direct = gaussian_flow(s, x, {.from = 80, .to = 0.5});
    const Tensor halfway = gaussian_flow(s, gaussian_flow(s, x, {.from = 80, .to = 7}), {.from = 7, .to = 0.5});
    EXPECT_LT(largest_difference(direct, halfway), 1e-12);
    EXPECT_LT(largest_difference(gaussian_flow(s, x, {.from = 80, .to = 80}), x), 1e-12);
    EXPECT_LT(largest_difference(gaussian_flow(s, direct, {.from = 0.5, .to = 80}), x), 1e-10);
  }
}

TEST(GaussianFlow, MapsNoiseToTheGaussianItself) {
  // Over 40,000 draws the covariance's entries deviate by at most ~0.011 std; 0.08 is seven of them: false alarm below 1e-9.
  const GaussianStats s = random_gaussian(4);
  const Tensor x = s.mean +
                   gaussian_flow(s, s.mean + (random_normal({40000, 4}, 5) * (80.0 * 80.0 + s.eigenvalues).sqrt()).mm(s.basis.t()),
                                 {.from = 80, .to = 0}) -
                   s.mean;
  const Tensor y = x - s.mean;
  EXPECT_LT(largest_difference(y.t().mm(y) / 40000, dense_covariance(s)), 0.08);
}

TEST(GaussianFlow, RefusesShapesAndLevels) {
  const GaussianStats s = random_gaussian(kDim);
  const Tensor x = torch::zeros({1, kDim}, torch::kFloat64);
  EXPECT_EQ(message_of<InvalidArgument>([&] {
              gaussian_flow(s, torch::zeros({64, 7}), {.from = 2, .to = 1});
            }),
            "[gaussian_flow] expected x of shape [B, 10], got [64, 7]");
  EXPECT_THAT(message_of<InvalidArgument>([&] { gaussian_flow(s, x, {.from = 0, .to = 1}); }), HasSubstr("from > 0"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { gaussian_flow(s, x, {.from = 1, .to = -1}); }), HasSubstr("to >= 0"));
}

TEST(StochasticJump, KeepsTheMarginalsAndTheJointLaw) {
  // x_a = x_b + noise of variance a^2 - b^2, so Cov(x_a, x_b) = Cov(x_b). 60,000 draws: deviations below 0.06 std-of-estimate-wise; limits
  // are > 6 deviations.
  const GaussianStats s = random_gaussian(4, {.rank = 2});
  const double a = 3, b = 1;
  const std::int64_t n = 60000;
  const Tensor clean = (random_normal({n, 4}, 6).mm(torch::linalg_cholesky(dense_covariance(s)).t()));
  const Tensor xa = s.mean + clean + a * random_normal({n, 4}, 7);
  const Tensor xb = stochastic_jump(s, xa, {.from = a, .to = b}, random_normal({n, 4}, 8));
  const Tensor ya = xa - s.mean, yb = xb - s.mean, marginal = dense_covariance(s) + b * b * torch::eye(4, torch::kFloat64);
  EXPECT_LT(largest_difference(yb.t().mm(yb) / n, marginal), 0.1);
  EXPECT_LT(largest_difference(ya.t().mm(yb) / n, marginal), 0.2);
  EXPECT_LT(yb.mean(0).abs().max().item<double>(), 0.05);
}

TEST(StochasticJump, WithoutNoiseIsThePosteriorMean) {
  const GaussianStats s = random_gaussian(kDim, {.rank = 4});
  const Tensor x = random_normal({3, kDim}, 9);
  const Tensor mean = stochastic_jump(s, x, {.from = 2, .to = 0}, torch::zeros_like(x));
  EXPECT_LT(largest_difference(mean, GaussianDenoiser(s).denoise(x, 2.0)), 1e-13);
  EXPECT_THAT(message_of<InvalidArgument>([&] { stochastic_jump(s, x, {.from = 1, .to = 2}, x); }), HasSubstr("0 <= to < from"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { stochastic_jump(s, x, {.from = 2, .to = 1}, x.narrow(0, 0, 1)); }),
              HasSubstr("noise of shape [3, 10]"));
}

TEST(Teleport, IsTheFlowWithRowsThatDependOnThemselvesOnly) {
  const GaussianStats s = random_gaussian(100);
  const Tensor x = 80 * random_normal({37, 100}, 10), all = teleport(s, x, 80, 5);
  EXPECT_LT(largest_difference(all, gaussian_flow(s, x, {.from = 80, .to = 5})), 1e-11);
  for (const std::int64_t row : {0, 5, 20, 36}) EXPECT_TRUE(torch::equal(teleport(s, x.narrow(0, row, 1), 80, 5), all.narrow(0, row, 1)));
}

TEST(StochasticTeleport, IsTheJumpWithRowsThatDependOnThemselvesOnly) {
  const GaussianStats s = random_gaussian(100);
  const SigmaStep step{.from = 80, .to = 5};
  const Tensor x = 80 * random_normal({37, 100}, 10), noise = random_normal({37, 100}, 11), all = stochastic_teleport(s, x, step, noise);
  EXPECT_LT(largest_difference(all, stochastic_jump(s, x, step, noise)), 1e-11);
  for (const std::int64_t row : {0, 5, 20, 36})
    EXPECT_TRUE(torch::equal(stochastic_teleport(s, x.narrow(0, row, 1), step, noise.narrow(0, row, 1)), all.narrow(0, row, 1)));
}

TEST(TailOf, StartsAtTheLargestLevelNotAbove) {
  const std::vector<double> grid{80, 20, 5, 1, 0};
  EXPECT_EQ(tail_of(grid, 20), (std::vector<double>{20, 5, 1, 0}));
  EXPECT_EQ(tail_of(grid, 19.9), (std::vector<double>{5, 1, 0}));
  EXPECT_EQ(tail_of(grid, 1000), grid);
  EXPECT_THAT(message_of<InvalidArgument>([&] { tail_of(grid, 0.5); }), HasSubstr("(0, 0.5]"));
}

TEST(TeleportMode, NamesTheModesItKnows) {
  for (const auto mode : {TeleportMode::tail, TeleportMode::respaced, TeleportMode::replace})
    EXPECT_EQ(parse_teleport_mode(to_string(mode)), mode);
  EXPECT_THAT(message_of<InvalidArgument>([] { parse_teleport_mode("jump"); }), HasSubstr("one of tail, respaced, replace, got jump"));
}

}  // namespace
}  // namespace headstart
