#include "headstart/solve/dpm_v3.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "../support/gaussians.h"
#include "../support/golden.h"
#include "../support/mixtures.h"
#include "../support/solver_runs.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/solve/dpm_solver.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kV3Dim = 6;

/// A Gaussian with independent dimensions.
GaussianStats diagonal_gaussian() {
  GaussianStats s = random_gaussian(kV3Dim);
  s.basis = torch::eye(kV3Dim, torch::kFloat64);
  return s;
}

/// Its statistics: with x - D = k (x - mean), k = sigma^2 / (lambda + sigma^2), n = -k mean whatever x is, so l = k, s = 0, b = -k' mean.
std::shared_ptr<V3Statistics> exact_statistics(const GaussianStats& g, std::int64_t cells) {
  auto v3 = std::make_shared<V3Statistics>();
  const Tensor variance =
      torch::linspace(std::log(v3->sigma_max), std::log(v3->sigma_min), cells + 1, torch::kFloat64).mul(2).exp().unsqueeze(1);
  v3->l = variance / (g.eigenvalues + variance);
  v3->s = torch::zeros_like(v3->l);
  v3->b = 2 * v3->l * (1 - v3->l) * g.mean;
  return v3;
}

/// Smooth statistics that belong to no model: the solver converges with any.
std::shared_ptr<V3Statistics> some_statistics(std::int64_t cells = 2000, std::int64_t dim = kV3Dim) {
  auto v3 = std::make_shared<V3Statistics>();
  const Tensor u = torch::linspace(0, 1, cells + 1, torch::kFloat64).unsqueeze(1), phase = torch::arange(dim, torch::kFloat64);
  v3->l = 0.6 + 0.3 * (3 * u + phase).sin();
  v3->s = 0.5 * (2 * u + 2 * phase).cos();
  v3->b = 0.4 * (4 * u - phase).sin();
  return v3;
}

double error_of_one_step(std::int64_t cells) {
  const GaussianStats g = diagonal_gaussian();
  const Tensor x = g.mean + 80 * random_normal({3, kV3Dim}, 2);
  const Tensor end = sample_dpm_v3(GaussianDenoiser(g), x, {80, 0.01}, {.v3 = exact_statistics(g, cells)});
  return largest_difference(end, gaussian_flow(g, x, {.from = 80, .to = 0.01}));
}

TEST(DpmV3, IsTheExactFlowInOneStepWhereTheStatisticsAreThatOfAGaussian) {
  EXPECT_LT(error_of_one_step(400), 1e-3);
  EXPECT_NEAR(error_of_one_step(400) / error_of_one_step(800), 4, 0.2);  // what is left is the line between the levels
}

/// Of order 1; from the second on DPM-Solver++ (2M) takes 1/2 for an integral that is only nearly that.
TEST(DpmV3, WithTheStatisticsOfDataPredictionIsDpmSolver) {
  auto v3 = some_statistics();
  v3->l = torch::ones_like(v3->l);
  v3->s = torch::zeros_like(v3->l);
  v3->b = torch::zeros_like(v3->l);
  const MixtureDenoiser denoiser(random_mixture(kV3Dim, 3, {.rank = 3}));
  const Tensor x = 80 * random_normal({3, kV3Dim}, 2);
  const auto sigmas = karras_sigmas({.steps = 9});
  const auto difference = [&](SolveOptions options) {
    options.v3 = v3;
    return largest_difference(sample_dpm_v3(denoiser, x, sigmas, options), sample_dpmpp_3m(denoiser, x, sigmas, {.order = options.order}));
  };
  EXPECT_LT(difference({.order = 1}), 1e-9);
  EXPECT_LT(difference({}), 1e-3);
  EXPECT_GT(difference({.corrector = true}), 1e-4);
  EXPECT_GT(difference({.pseudo_order = true}), 2e-3);
}

struct V3Order {
  SolveOptions options;
  double order;
};

class DpmV3Order : public testing::TestWithParam<V3Order> {};

TEST_P(DpmV3Order, IsTheOneOfTheoryWithAnyStatistics) {
  const MixtureDenoiser denoiser(random_mixture(kV3Dim, 3, {.rank = 3}));
  const Tensor x = 10 * random_normal({4, kV3Dim}, 2);
  SolveOptions options = GetParam().options;
  options.v3 = some_statistics();
  const auto grid = [](std::int64_t steps) { return grid_for_orders(20, steps); };
  const Tensor exact = sample_dpmpp_3s(denoiser, x, grid(1500));
  const auto error = [&](std::int64_t steps) { return (sample_dpm_v3(denoiser, x, grid(steps), options) - exact).norm().item<double>(); };
  EXPECT_NEAR(std::log2(error(80) / error(160)), GetParam().order, 0.2);
}

INSTANTIATE_TEST_SUITE_P(DpmV3, DpmV3Order,
                         testing::Values(V3Order{{.order = 1}, 1}, V3Order{{.order = 2}, 2}, V3Order{{}, 3},
                                         V3Order{{.order = 2, .corrector = true}, 2}, V3Order{{.corrector = true}, 3},
                                         V3Order{{.pseudo_order = true}, 2}));

/// Values of tests/golden/dpm_v3.py.
TEST(DpmV3, AgreesWithThePapersFormulas) {
  const auto golden = golden_values("dpm_v3");
  const auto sigmas = golden.at("sigmas").get<std::vector<double>>();
  auto v3 = some_statistics(400, 3);
  v3->sigma_max = sigmas.front();
  v3->sigma_min = sigmas.back();
  for (const auto& [name, end] : golden.at("ends").items()) {
    const bool corrector = name.find("corrector") != std::string::npos, pseudo = name.find("pseudo") != std::string::npos;
    const Tensor x = sample_dpm_v3(MixtureDenoiser(golden_mixture(golden)), golden_rows(golden.at("start")), sigmas,
                                   {.order = std::stoll(name), .v3 = v3, .corrector = corrector, .pseudo_order = pseudo});
    EXPECT_LT(largest_difference(x, golden_rows(end)), 1e-9) << name;
  }
}

TEST(DpmV3, SpendsOneEvaluationAStep) {
  const GaussianDenoiser denoiser(diagonal_gaussian());
  const Counted counted(denoiser);
  const Tensor x = torch::zeros({2, kV3Dim}, torch::kFloat64);
  for (const bool corrector : {false, true}) {
    const auto before = counted.nfe();
    sample_dpm_v3(counted, x, karras_sigmas({.steps = 8}), {.v3 = some_statistics(), .corrector = corrector});
    EXPECT_EQ(counted.nfe() - before, 8);
  }
}

TEST(DpmV3, RefusesStatisticsThatDoNotFit) {
  const GaussianDenoiser denoiser(diagonal_gaussian());
  const Tensor x = torch::zeros({1, kV3Dim}, torch::kFloat64);
  const auto refusal = [&](const std::vector<double>& sigmas, const std::shared_ptr<V3Statistics>& v3) {
    return message_of<InvalidArgument>([&] { sample_dpm_v3(denoiser, x, sigmas, {.v3 = v3}); });
  };
  EXPECT_THAT(refusal({1, 0}, nullptr), HasSubstr("expected options.v3"));
  EXPECT_THAT(refusal({100, 0}, some_statistics()), HasSubstr("[0.002, 80], got 100"));
  EXPECT_THAT(refusal({1, 0.001}, some_statistics()), HasSubstr("got 0.001"));
  auto v3 = some_statistics();
  v3->s = v3->s.narrow(0, 0, 5);
  EXPECT_THAT(refusal({1, 0}, v3), HasSubstr("one shape [N + 1, D]"));
  v3 = some_statistics();
  v3->sigma_max = 0.001;
  EXPECT_THAT(refusal({1, 0}, v3), HasSubstr("0 < sigma_min < sigma_max"));
  v3 = some_statistics();
  for (Tensor* t : {&v3->l, &v3->s, &v3->b}) *t = t->narrow(1, 0, 2);
  EXPECT_THAT(refusal({1, 0}, v3), HasSubstr("expected statistics of 6 dimensions, got 2"));
}

}  // namespace
}  // namespace headstart
