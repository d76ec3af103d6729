// Orders of convergence, exact counts of evaluations, and values of the papers' formulas for every solver.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../support/gaussians.h"
#include "../support/golden.h"
#include "../support/solver_runs.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/solve/dpm_v3.h"
#include "headstart/solve/noise.h"
#include "headstart/solve/sigmas.h"
#include "headstart/solve/solver.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kConvergenceDim = 6;

double error_against_flow(const Solver& solver, std::int64_t steps, std::int64_t order) {
  const GaussianStats s = random_gaussian(kConvergenceDim, {.rank = 3});
  const Tensor x = s.mean + 10 * random_normal({4, kConvergenceDim}, 2);
  const auto sigmas = grid_for_orders(100, steps);
  const Tensor end = solver(GaussianDenoiser(s), x, sigmas, {.order = order});
  return (end - gaussian_flow(s, x, {.from = sigmas.front(), .to = sigmas.back()})).norm().item<double>();
}

/// Those of data prediction, for the solver that needs some.
std::shared_ptr<const V3Statistics> plain_statistics() {
  const Tensor none = torch::zeros({2, kConvergenceDim}, torch::kFloat64);
  return std::make_shared<const V3Statistics>(V3Statistics{.l = none + 1, .s = none, .b = none});
}

struct KnownOrder {
  std::string solver;
  std::int64_t setting;
  double order;
};

class Order : public testing::TestWithParam<KnownOrder> {};

TEST_P(Order, IsTheOneOfTheory) {
  const Solver solver = find_solver(GetParam().solver);
  const double measured =
      std::log2(error_against_flow(solver, 80, GetParam().setting) / error_against_flow(solver, 160, GetParam().setting));
  EXPECT_NEAR(measured, GetParam().order, 0.2);
}

// iPNDM's coefficients are those of equal steps in sigma, which these are not; UniPC's corrector adds one to the predictor's order.
INSTANTIATE_TEST_SUITE_P(Solvers, Order,
                         testing::Values(KnownOrder{"euler", 0, 1}, KnownOrder{"heun", 0, 2}, KnownOrder{"dpmpp_2m", 1, 1},
                                         KnownOrder{"dpmpp_2m", 0, 2}, KnownOrder{"dpmpp_3m", 0, 3}, KnownOrder{"dpmpp_2s", 0, 2},
                                         KnownOrder{"dpmpp_3s", 0, 3}, KnownOrder{"unipc_bh1", 1, 2}, KnownOrder{"unipc_bh1", 2, 3},
                                         KnownOrder{"unipc_bh1", 3, 4}, KnownOrder{"unipc_bh2", 2, 3}, KnownOrder{"unipc_bh2", 3, 4},
                                         KnownOrder{"deis", 2, 2}, KnownOrder{"deis", 3, 3}, KnownOrder{"deis", 4, 4},
                                         KnownOrder{"ipndm", 2, 2}, KnownOrder{"ipndm", 3, 2}, KnownOrder{"ipndm", 4, 2}),
                         [](const auto& info) { return info.param.solver + "_" + std::to_string(info.param.setting); });

/// Values of tests/golden/solvers.py: where runs end, and every state of runs that go on to 0.
TEST(Solvers, AgreeWithThePapersFormulas) {
  const auto golden = golden_values("solvers");
  const MixtureDenoiser denoiser(golden_mixture(golden));
  const Tensor start = golden_rows(golden.at("start"));
  const auto sigmas = golden.at("sigmas").get<std::vector<double>>();
  auto to_zero = sigmas;
  to_zero.push_back(0);
  for (const auto& [name, end] : golden.at("ends").items()) {
    const auto space = name.find(' ');
    const Solver solver = find_solver(name.substr(0, space));
    SolveOptions options{.order = space == std::string::npos ? 0 : std::stoll(name.substr(space))};
    EXPECT_LT(largest_difference(solver(denoiser, start, sigmas, options), golden_rows(end)), 1e-9) << name;
    const auto& states = golden.at("states").at(name);
    std::size_t seen = 0;
    options.on_step = [&, name = name](std::size_t i, const Tensor& x) {
      EXPECT_LT(largest_difference(x, golden_rows(states.at(i))), 1e-9) << name << " at level " << i + 1;
      ++seen;
    };
    solver(denoiser, start, to_zero, options);
    EXPECT_EQ(seen, states.size()) << name;
  }
}

TEST(Solvers, SpendTheEvaluationsTheySay) {
  const GaussianDenoiser denoiser(random_gaussian(kConvergenceDim));
  const Tensor x = 80 * random_normal({2, kConvergenceDim}, 1);
  const auto to_zero = karras_sigmas({.steps = 8}), to_least = karras_sigmas({.steps = 8, .final_zero = false});
  const std::map<std::string, std::pair<int, int>> expected{{"heun", {15, 14}}, {"dpmpp_2s", {15, 14}}, {"dpmpp_3s", {22, 21}}};
  for (const auto& name : solver_names()) {
    if (name == "rk45") continue;  // as many as it needs, see below
    SeededNoise noise({1, 2}, {1, 1, kConvergenceDim});
    const auto evaluations = [&](const std::vector<double>& sigmas) {
      const Counted counted(denoiser);
      find_solver(name)(counted, x, sigmas, {.noise = [&] { return noise.next(); }, .v3 = plain_statistics()});
      return counted.nfe();
    };
    const auto [zero, least] = expected.contains(name) ? expected.at(name) : std::pair(8, 7);
    EXPECT_EQ(evaluations(to_zero), zero) << name;
    EXPECT_EQ(evaluations(to_least), least) << name;
  }
}

TEST(Solvers, EndWithTheFinalDenoiseWhicheverTheyAre) {
  const GaussianDenoiser denoiser(random_gaussian(kConvergenceDim));
  const Tensor x = random_normal({3, kConvergenceDim}, 4);
  for (const auto& name : solver_names()) {
    SeededNoise noise({1, 2, 3}, {1, 1, kConvergenceDim});
    const Tensor end = find_solver(name)(denoiser, x, {1, 0}, {.noise = [&] { return noise.next(); }, .v3 = plain_statistics()});
    EXPECT_LT(largest_difference(end, denoiser.denoise(x, 1.0)), 1e-14) << name;
  }
}

/// Mean and covariance of many runs from the exact start, against those of the data: a stochastic solver with wrong noise misses them.
/// A mean is off by more than 4.5 standard errors once in 150,000 times; here are twelve of them.
TEST(StochasticSolvers, DrawFromTheGaussian) {
  const GaussianStats s = random_gaussian(kConvergenceDim, {.rank = 3});
  const GaussianDenoiser denoiser(s);
  const std::int64_t count = 10000;
  std::uint64_t seed = 10;
  const Tensor start = gaussian_flow(s, s.mean + 80 * random_normal({count, kConvergenceDim}, 3), {.from = 80, .to = 20});
  for (const auto& name : solver_names()) {
    if (!is_stochastic(name)) continue;
    const auto sigmas = karras_sigmas({.steps = 300, .sigma_max = 20, .final_zero = false});
    const Tensor x = find_solver(name)(denoiser, start, sigmas, {.noise = [&] { return random_normal({count, kConvergenceDim}, ++seed); }});
    const Tensor covariance = dense_covariance(s), y = x - s.mean;
    EXPECT_LT((y.mean(0).abs() / (covariance.diagonal() / count).sqrt()).max().item<double>(), 4.5) << name;
    const Tensor scale = torch::outer(covariance.diagonal(), covariance.diagonal()).sqrt();
    // The sampling error is 1 / sqrt(N) = 0.01; what the steps add falls as 1 / steps.
    EXPECT_LT(((y.t().mm(y) / count - covariance).abs() / scale).max().item<double>(), 0.06) << name;
  }
}

TEST(StochasticSolvers, AskForNoise) {
  const GaussianDenoiser denoiser(random_gaussian(kConvergenceDim));
  const Tensor x = torch::zeros({1, kConvergenceDim}, torch::kFloat64);
  for (const auto& name : {"ddpm", "sde_dpmpp_2m"}) {
    EXPECT_TRUE(is_stochastic(name));
    EXPECT_THAT(message_of<InvalidArgument>([&] { find_solver(name)(denoiser, x, {2, 1, 0}, {}); }), HasSubstr("expected options.noise"));
  }
  EXPECT_FALSE(is_stochastic("heun"));
}

TEST(Rk45, ReachesItsToleranceRowByRow) {
  const GaussianStats s = random_gaussian(kConvergenceDim, {.rank = 3});
  const GaussianDenoiser denoiser(s);
  const Tensor x = s.mean + 80 * random_normal({3, kConvergenceDim}, 2);
  const std::vector<double> sigmas{80, 0.01};
  const Tensor exact = gaussian_flow(s, x, {.from = 80, .to = 0.01});
  double before = 1;
  for (const double tolerance : {1e-3, 1e-5, 1e-7}) {
    const double error = largest_difference(find_solver("rk45")(denoiser, x, sigmas, {.tolerance = tolerance}), exact);
    EXPECT_LT(error, 30 * tolerance);
    EXPECT_LT(error, before / 10);
    before = error;
  }
  const Tensor all = find_solver("rk45")(denoiser, x, sigmas, {}), one = find_solver("rk45")(denoiser, x.narrow(0, 1, 1), sigmas, {});
  EXPECT_LT(largest_difference(all.narrow(0, 1, 1), one), 1e-12);  // a row's steps are its own
  EXPECT_THAT(message_of<InvalidArgument>([&] { find_solver("rk45")(denoiser, x, sigmas, {.tolerance = 0}); }),
              HasSubstr("a tolerance of at least 1e-12"));
}

TEST(Rk45, SpendsSixEvaluationsATryAndOneAtEachEnd) {
  const GaussianDenoiser denoiser(random_gaussian(kConvergenceDim));
  const Tensor x = 80 * random_normal({2, kConvergenceDim}, 1);
  const std::vector<std::pair<std::vector<double>, std::int64_t>> runs{{{80, 0.01}, 1}, {{80, 0.01, 0}, 2}};
  for (const auto& [sigmas, ends] : runs) {
    const Counted counted(denoiser);
    std::int64_t tries = 0;
    find_solver("rk45")(counted, x, sigmas, {.on_step = [&](std::size_t, const Tensor&) { ++tries; }});
    EXPECT_GT(tries, 3);
    EXPECT_EQ(counted.nfe(), 6 * tries + ends);
  }
}

TEST(MultistepSolvers, RefuseOrdersTheyDoNotHave) {
  const GaussianDenoiser denoiser(random_gaussian(kConvergenceDim));
  const Tensor x = torch::zeros({1, kConvergenceDim}, torch::kFloat64);
  const std::map<std::string, std::int64_t> orders{{"dpmpp_2m", 2}, {"dpmpp_3m", 3}, {"unipc_bh1", 3}, {"deis", 4}, {"ipndm", 4}};
  for (const auto& [name, most] : orders) {
    EXPECT_EQ(most_order(name), most);
    EXPECT_THAT(message_of<InvalidArgument>([&, name = name, most = most] {
                  find_solver(name)(denoiser, x, {1, 0}, {.order = most + 1});
                }),
                HasSubstr("an order from 1 to " + std::to_string(most) + ", got " + std::to_string(most + 1)));
  }
  EXPECT_EQ(most_order("heun"), 0);
}

TEST(LowerOrderFinal, EndsInAStepOfOrderOne) {
  const MixtureDenoiser denoiser(mixture_of(random_gaussian(kConvergenceDim)));
  const Tensor x = 5 * random_normal({2, kConvergenceDim}, 1);
  const std::vector<double> sigmas{5, 3, 2, 1};
  Tensor before;
  const SolveOptions options{.on_step =
                                 [&](std::size_t i, const Tensor& state) {
                                   if (i == 1) before = state.clone();
                                 },
                             .lower_order_final = true};
  const Tensor end = find_solver("dpmpp_2m")(denoiser, x, sigmas, options);
  EXPECT_LT(largest_difference(end, before + (1.0 - 2.0) * (before - denoiser.denoise(before, 2.0)) / 2.0), 1e-12);
  EXPECT_GT(largest_difference(end, find_solver("dpmpp_2m")(denoiser, x, sigmas, {})), 1e-4);
}

}  // namespace
}  // namespace headstart
