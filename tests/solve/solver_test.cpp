#include "headstart/solve/solver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/flow/teleport.h"
#include "headstart/solve/noise.h"
#include "headstart/solve/one_step.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kDim = 6;

/// Error of a solver against the exact flow of a Gaussian, from sigma 10 to 0.1.
double error(const Solver& solver, std::int64_t steps) {
  const GaussianStats s = random_gaussian(kDim, {.rank = 3});
  const Tensor x = s.mean + 10 * random_normal({4, kDim}, 2);
  const auto sigmas = karras_sigmas({.steps = steps, .sigma_min = 0.1, .sigma_max = 10, .final_zero = false});
  return (solver(GaussianDenoiser(s), x, sigmas, {}) - gaussian_flow(s, x, {.from = 10, .to = 0.1})).norm().item<double>();
}

/// Slope of log error against log steps: the order of convergence.
double order(const Solver& solver) { return std::log2(error(solver, 161) / error(solver, 321)); }

TEST(Euler, HasOrderOne) { EXPECT_NEAR(order(sample_euler), 1.0, 0.1); }

TEST(Heun, HasOrderTwo) { EXPECT_NEAR(order(sample_heun), 2.0, 0.1); }

TEST(Heun, IsFarFromConvergedAtFewStepsSoThatItsOrderMeansSomething) {
  EXPECT_GT(error(sample_heun, 11), 100 * error(sample_heun, 161));
  EXPECT_LT(error(sample_heun, 321), 1e-3);
}

std::int64_t evaluations(const Solver& solver, const std::vector<double>& sigmas) {
  const GaussianDenoiser denoiser(random_gaussian(kDim));
  const Counted counted(denoiser);
  solver(counted, torch::zeros({2, kDim}, torch::kFloat64), sigmas, {});
  return counted.nfe();
}

TEST(Heun, SpendsExactlyTheEvaluationsItSays) {
  EXPECT_EQ(evaluations(sample_heun, karras_sigmas({.steps = 18})), 35);
  EXPECT_EQ(evaluations(sample_heun, karras_sigmas({.steps = 18, .final_zero = false})), 34);
  const auto rest = tail_of(karras_sigmas({.steps = 18}), 19.4);
  EXPECT_NEAR(rest.front(), 19.35, 0.01);
  EXPECT_EQ(evaluations(sample_heun, rest), 27);
}

TEST(Euler, SpendsOneEvaluationAStep) {
  EXPECT_EQ(evaluations(sample_euler, karras_sigmas({.steps = 18})), 18);
  EXPECT_EQ(evaluations(sample_euler, karras_sigmas({.steps = 18, .final_zero = false})), 17);
}

TEST(Solvers, EndWithTheFinalDenoise) {
  const GaussianStats s = random_gaussian(kDim);
  const GaussianDenoiser denoiser(s);
  const Tensor x = random_normal({3, kDim}, 4);
  EXPECT_LT(largest_difference(sample_heun(denoiser, x, {1, 0}), denoiser.denoise(x, 1.0)), 1e-14);
  EXPECT_LT(largest_difference(sample_euler(denoiser, x, {1, 0}), denoiser.denoise(x, 1.0)), 1e-14);
}

TEST(Teleport, GivesTheFullRunOnTheFittedGaussianWithinSolverError) {
  const GaussianStats s = random_gaussian(kDim);
  const GaussianDenoiser denoiser(s);
  const Tensor x = 80 * random_normal({8, kDim}, 5);
  const Tensor exact = gaussian_flow(s, x, {.from = 80, .to = 0});
  for (const std::int64_t steps : {18, 300}) {
    const auto grid = karras_sigmas({.steps = steps});
    const auto rest = tail_of(grid, 19.4);
    const double full = (sample_heun(denoiser, x, grid) - exact).norm().item<double>();
    const double jumped = (sample_heun(denoiser, teleport(s, x, 80, rest.front()), rest) - exact).norm().item<double>();
    EXPECT_LT(jumped, full * 1.001 + 1e-9) << steps;  // the jump itself makes no error
    EXPECT_LT(full, steps == 18 ? 1.0 : 2e-3);
  }
}

TEST(Solvers, CallBackAfterEveryStepAndMayBeStopped) {
  const GaussianDenoiser denoiser(random_gaussian(kDim));
  const Tensor x = torch::zeros({1, kDim}, torch::kFloat64);
  std::vector<std::size_t> seen;
  sample_heun(denoiser, x, {3, 2, 1, 0}, {.on_step = [&](std::size_t i, const Tensor&) { seen.push_back(i); }});
  EXPECT_EQ(seen, (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_THROW(sample_euler(denoiser, x, {3, 2, 1, 0}, {.on_step = [](std::size_t, const Tensor&) { throw std::runtime_error("stop"); }}),
               std::runtime_error);
}

TEST(Solvers, RefuseGridsAndShapes) {
  const GaussianDenoiser denoiser(random_gaussian(kDim));
  const Tensor x = torch::zeros({1, kDim}, torch::kFloat64);
  const auto refusal = [&](const std::vector<double>& sigmas) {
    return message_of<InvalidArgument>([&] { sample_heun(denoiser, x, sigmas); });
  };
  EXPECT_THAT(refusal({1}), HasSubstr("at least two sigmas, got 1"));
  EXPECT_THAT(refusal({1, 2}), HasSubstr("strictly descending sigmas, got 2 after 1"));
  EXPECT_THAT(refusal({1, 1}), HasSubstr("strictly descending"));
  EXPECT_THAT(refusal({1, -1}), HasSubstr("sigmas >= 0, got -1"));
  EXPECT_THAT(message_of<InvalidArgument>([&] {
                sample_euler(denoiser, torch::zeros({1, 3}), {1, 0});
              }),
              HasSubstr("[sample_euler] expected x of shape [B, 6]"));
}

TEST(FindSolver, ListsWhatThereIs) {
  EXPECT_NO_THROW(find_solver("ddim"));
  EXPECT_THAT(
      message_of<InvalidArgument>([] { find_solver("magic"); }),
      HasSubstr("one of heun, euler, ddim, dpmpp_2m, dpmpp_3m, dpmpp_2s, dpmpp_3s, unipc_bh1, unipc_bh2, dpm_v3, deis, ipndm, ddpm, "
                "sde_dpmpp_2m, rk45, got magic"));
}

TEST(KarrasSigmas, AreEdmsGrid) {
  const auto sigmas = karras_sigmas();
  ASSERT_EQ(sigmas.size(), 19U);
  // Values of EDM's formula for 18 steps, computed independently.
  EXPECT_NEAR(sigmas[0], 80.0, 1e-12);
  EXPECT_NEAR(sigmas[1], 57.5859, 1e-3);
  EXPECT_NEAR(sigmas[4], 19.3521, 1e-3);
  EXPECT_NEAR(sigmas[17], 0.002, 1e-15);
  EXPECT_EQ(sigmas[18], 0);
  EXPECT_EQ(karras_sigmas({.steps = 1}), (std::vector<double>{80, 0}));
}

TEST(SpacedSigmas, HaveEqualStepsOfTheirTime) {
  const auto log = spaced_sigmas(log_spacing(), {.steps = 5, .sigma_min = 0.01, .sigma_max = 100, .final_zero = false});
  EXPECT_THAT(log, testing::Pointwise(testing::DoubleNear(1e-9), {100.0, 10.0, 1.0, 0.1, 0.01}));
  const Spacing identity{.to_time = [](double s) { return s; }, .to_sigma = [](double t) { return t; }};
  EXPECT_EQ(spaced_sigmas(identity, {.steps = 4, .sigma_min = 1, .sigma_max = 4}), (std::vector<double>{4, 3, 2, 1, 0}));
  const auto squares = spaced_sigmas(quadratic(identity), {.steps = 3, .sigma_min = 1, .sigma_max = 9, .final_zero = false});
  EXPECT_THAT(squares, testing::Pointwise(testing::DoubleNear(1e-12), {9.0, 4.0, 1.0}));
  const Spacing power{.to_time = [](double s) { return std::pow(s, 1.0 / 7); }, .to_sigma = [](double t) { return std::pow(t, 7); }};
  EXPECT_THAT(spaced_sigmas(power, {}), testing::Pointwise(testing::DoubleNear(1e-9), karras_sigmas()));
  EXPECT_THAT(message_of<InvalidArgument>([&] { spaced_sigmas(identity, {.sigma_min = 0}); }),
              HasSubstr("[spaced_sigmas] expected 0 < sigma_min"));
  const Spacing flat{.to_time = [](double s) { return s; }, .to_sigma = [](double) { return 2.0; }};
  EXPECT_THAT(message_of<InvalidArgument>([&] { spaced_sigmas(flat, {.steps = 5}); }), HasSubstr("strictly descending"));
}

TEST(TableSigmas, CountFromEitherEnd) {
  std::vector<double> table;
  for (int i = 1; i <= 10; ++i) table.push_back(i);
  EXPECT_EQ(table_sigmas(table, 5, TableSpacing::leading), (std::vector<double>{9, 7, 5, 3, 1, 0}));
  EXPECT_EQ(table_sigmas(table, 5, TableSpacing::trailing), (std::vector<double>{10, 8, 6, 4, 2, 0}));
  EXPECT_EQ(table_sigmas(table, 3, TableSpacing::trailing, false), (std::vector<double>{10, 7, 3}));
  EXPECT_EQ(table_sigmas(table, 10, TableSpacing::leading, false), (std::vector<double>{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}));
  EXPECT_THAT(message_of<InvalidArgument>([&] { table_sigmas(table, 11, TableSpacing::leading); }), HasSubstr("1 to 10 steps, got 11"));
}

TEST(KarrasSigmas, RefusesNonsense) {
  const auto refusal = [](const KarrasOptions& o) { return message_of<InvalidArgument>([&] { karras_sigmas(o); }); };
  EXPECT_THAT(refusal({.steps = 0}), HasSubstr("steps >= 1, got 0"));
  EXPECT_THAT(refusal({.sigma_min = 0}), HasSubstr("0 < sigma_min < sigma_max"));
  EXPECT_THAT(refusal({.sigma_min = 90}), HasSubstr("got 90 and 80"));
  EXPECT_THAT(refusal({.rho = 0}), HasSubstr("rho > 0"));
}

TEST(NoiseOf, DependsOnTheSeedAloneAndIsPyTorchs) {
  const ImageShape shape{1, 4, 5};
  const Tensor together = noise_of({7, 3, 4294967296 + 7}, shape);
  EXPECT_EQ(together.scalar_type(), torch::kFloat64);
  EXPECT_TRUE(torch::equal(noise_of({3}, shape)[0], together[1]));
  EXPECT_TRUE(torch::equal(together[0], together[2]));  // seeds are taken modulo 2^32, as EDM's sampler does
  torch::manual_seed(7);
  EXPECT_TRUE(torch::equal(torch::randn({1, 4, 5}).flatten().to(torch::kFloat64), together[0]));
  EXPECT_THAT(message_of<InvalidArgument>([&] { noise_of({-1}, shape); }), HasSubstr("seeds >= 0, got -1"));
}

}  // namespace
}  // namespace headstart
