#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/observed.h"
#include "headstart/error.h"
#include "headstart/solve/one_step.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

/// Standard normal draws, each of another seed.
SolveOptions churning(const Churn& churn, at::IntArrayRef shape) {
  return {.noise = [shape = shape.vec(), seed = std::uint64_t{100}]() mutable { return random_normal(shape, ++seed); }, .churn = churn};
}

/// The levels at which Heun's method evaluates.
std::vector<double> evaluated_levels(const std::vector<double>& sigmas, const Churn& churn) {
  const IsotropicDenoiser inner(torch::zeros({2}, torch::kFloat64), 1);
  std::vector<double> levels;
  const Observed observed(inner, [&](const Tensor&, const Tensor& sigma, const Tensor&) { levels.push_back(sigma[0].item<double>()); });
  sample_heun(observed, torch::ones({1, 2}, torch::kFloat64), sigmas, churning(churn, {1, 2}));
  return levels;
}

TEST(Churn, LiftsTheLevelsOfItsRangeByItsFactor) {
  const auto near = [](const std::vector<double>& levels) { return testing::Pointwise(testing::DoubleNear(1e-12), levels); };
  const std::vector<double> grid{8, 4, 2, 1, 0};  // four steps
  EXPECT_THAT(evaluated_levels(grid, {.S_churn = 0.4}), near({8.8, 4, 4.4, 2, 2.2, 1, 1.1}));
  EXPECT_THAT(evaluated_levels(grid, {.S_churn = 0.4, .S_min = 2, .S_max = 4}), near({8, 4, 4.4, 2, 2.2, 1, 1}));
  EXPECT_THAT(evaluated_levels(grid, {.S_churn = 0.4, .highest = 8.1}), near({8.1, 4, 4.4, 2, 2.2, 1, 1.1}));
  const double most = std::sqrt(2.0);
  EXPECT_THAT(evaluated_levels(grid, {.S_churn = 100}), near({8 * most, 4, 4 * most, 2, 2 * most, 1, most}));
}

TEST(Churn, OfZeroDrawsNoNoiseAndChangesNoBit) {
  const GaussianDenoiser denoiser(random_gaussian(5));
  const Tensor x = 80 * random_normal({3, 5}, 1);
  const auto grid = karras_sigmas();
  EXPECT_TRUE(torch::equal(sample_heun(denoiser, x, grid, {.churn = {.S_churn = 0, .S_noise = 2}}), sample_heun(denoiser, x, grid)));
}

TEST(Churn, KeepsTheDistribution) {
  // Draws from the Gaussian at sigma 20, carried to 0 with much noise on the way, are draws from the Gaussian itself. Entries of the
  // covariance (largest variance 2) deviate by at most 2 sqrt(2 / 10,000) = 0.028, and Heun's error is 0.046: 0.2 is five deviations.
  const std::int64_t n = 10000;
  const GaussianStats s = random_gaussian(3);
  const GaussianDenoiser denoiser(s);
  const Tensor x = s.mean + (random_normal({n, 3}, 2) * (400 + s.eigenvalues).sqrt()).mm(s.basis.t());
  const auto grid = karras_sigmas({.steps = 40, .sigma_min = 0.01, .sigma_max = 20});
  const Tensor still = sample_heun(denoiser, x, grid), stirred = sample_heun(denoiser, x, grid, churning({.S_churn = 8}, {n, 3}));
  EXPECT_GT((stirred - still).abs().mean().item<double>(), 0.3);  // other pictures ...
  const Tensor y = stirred - s.mean;
  EXPECT_LT(y.mean(0).abs().max().item<double>(), 0.1);
  EXPECT_LT(largest_difference(y.t().mm(y) / n, dense_covariance(s)), 0.2);  // ... of the same distribution

  const Tensor weaker = sample_heun(denoiser, x, grid, churning({.S_churn = 8, .S_noise = 0.5}, {n, 3})) - s.mean;
  EXPECT_GT(largest_difference(weaker.t().mm(weaker) / n, dense_covariance(s)), 1);  // the test would see noise of a wrong size
}

TEST(Churn, NeedsNoiseAndSensibleNumbers) {
  const GaussianDenoiser denoiser(random_gaussian(3));
  const auto refusal = [&](const Churn& churn) {
    return message_of<InvalidArgument>([&] { sample_heun(denoiser, torch::zeros({1, 3}, torch::kFloat64), {2, 1}, {.churn = churn}); });
  };
  EXPECT_THAT(refusal({.S_churn = 1}), HasSubstr("[sample_heun] expected options.noise"));
  EXPECT_THAT(refusal({.S_churn = -1}), HasSubstr("S_churn >= 0"));
  EXPECT_THAT(refusal({.S_churn = 1, .S_min = 2, .S_max = 1}), HasSubstr("S_min <= S_max"));
  EXPECT_THAT(refusal({.S_churn = 1, .S_noise = -1}), HasSubstr("S_noise >= 0"));
}

}  // namespace
}  // namespace headstart
