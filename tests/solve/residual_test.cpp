#include "headstart/solve/residual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "../support/solver_runs.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"
#include "headstart/solve/one_step.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kResidualDim = 6;

Solver residual_over(const std::string& name, const GaussianStats& s, double sigma_c = 0) {
  return residual_solver(name, std::make_shared<GaussianPart>(s), {.sigma_c = sigma_c});
}

class Residual : public testing::TestWithParam<std::string> {
 protected:
  const MixtureDenoiser mixture_{random_mixture(kResidualDim, 3, {.rank = 3})};
  const Tensor noise_ = random_normal({3, kResidualDim}, 2);
};

TEST_P(Residual, IsTheExactFlowWhereThereIsNoResidual) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kResidualDim, cut);
    const Tensor x = s.mean + 80 * noise_;
    const auto sigmas = karras_sigmas({.steps = 5, .final_zero = false});
    const Tensor exact = gaussian_flow(s, x, {.from = 80, .to = sigmas.back()});
    EXPECT_LT(largest_difference(residual_over(GetParam(), s)(GaussianDenoiser(s), x, sigmas, {}), exact), 1e-11);
  }
}

TEST_P(Residual, WithTheSolversOwnPartIsTheOrdinarySolver) {
  const auto sigmas = karras_sigmas({.steps = 9});
  const Tensor ordinary = find_solver(GetParam())(mixture_, 80 * noise_, sigmas, {});
  GaussianStats point = random_gaussian(kResidualDim, {.rank = 3});
  point.mean = torch::zeros_like(point.mean);
  const double variance = GetParam() == "ipndm" ? kBoundlessVariance : 0;
  point.eigenvalues = torch::full_like(point.eigenvalues, variance);
  point.tail = variance;
  for (const auto& part : {std::shared_ptr<const LinearPart>(std::make_shared<GaussianPart>(point)),
                           std::shared_ptr<const LinearPart>(std::make_shared<IsotropicPart>(variance))})
    EXPECT_LT(largest_difference(residual_solver(GetParam(), part)(mixture_, 80 * noise_, sigmas, {}), ordinary), 1e-10);
}

TEST_P(Residual, IsTheOrdinarySolverBelowTheSwitch) {
  const GaussianStats s = random_gaussian(kResidualDim);
  const auto sigmas = karras_sigmas({.steps = 9});
  const Tensor ordinary = find_solver(GetParam())(mixture_, 80 * noise_, sigmas, {});
  EXPECT_LT(largest_difference(residual_over(GetParam(), s, 100)(mixture_, 80 * noise_, sigmas, {}), ordinary), 1e-11);
  EXPECT_GT(largest_difference(residual_over(GetParam(), s, 1)(mixture_, 80 * noise_, sigmas, {}), ordinary), 1e-4);
}

TEST_P(Residual, SpendsOneEvaluationAStep) {
  const Counted counted(mixture_);
  residual_over(GetParam(), random_gaussian(kResidualDim), 1)(counted, 80 * noise_, karras_sigmas({.steps = 8}), {});
  EXPECT_EQ(counted.nfe(), 8);
}

INSTANTIATE_TEST_SUITE_P(Solvers, Residual, testing::ValuesIn(residual_solver_names()), [](const auto& info) { return info.param; });

double order_on_a_mixture(const Solver& solver, std::int64_t steps = 100) {
  const MixtureDenoiser denoiser(random_mixture(kResidualDim, 3, {.rank = 3}));
  const Tensor x = 10 * random_normal({4, kResidualDim}, 2);
  const auto grid = [](std::int64_t count) { return grid_for_orders(20, count); };
  const Tensor exact = sample_rk45(denoiser, x, grid(10), {.tolerance = 1e-11});
  const auto error = [&](std::int64_t count) { return (solver(denoiser, x, grid(count), {}) - exact).norm().item<double>(); };
  return std::log2(error(steps) / error(2 * steps));
}

TEST(ResidualOrder, IsTheOrdinarySolversOnAMixture) {
  const GaussianStats s = random_gaussian(kResidualDim);
  EXPECT_NEAR(order_on_a_mixture(residual_over("dpmpp_2m", s)), 2, 0.2);
  EXPECT_NEAR(order_on_a_mixture(residual_over("dpmpp_3m", s)), 3, 0.2);
  EXPECT_NEAR(order_on_a_mixture(residual_over("unipc_bh1", s)), 4, 0.2);
  EXPECT_NEAR(order_on_a_mixture(residual_over("unipc_bh2", s)), 4, 0.2);
  const auto part = std::make_shared<GaussianPart>(s);
  EXPECT_NEAR(order_on_a_mixture(residual_solver("ipndm", part, {.weight = ResidualWeight::mode}), 400), 2, 0.2);
}

TEST(ResidualOrder, SurvivesTheSwitch) {  // a restart at order 1 there would cost one
  const GaussianStats s = random_gaussian(kResidualDim);
  EXPECT_NEAR(order_on_a_mixture(residual_over("dpmpp_3m", s, 2)), 3, 0.2);
  EXPECT_NEAR(order_on_a_mixture(residual_over("unipc_bh1", s, 2)), 4, 0.2);
  EXPECT_NEAR(order_on_a_mixture(residual_over("unipc_bh2", s, 2)), 4, 0.2);
}

TEST(ResidualWeights, AreTheSolversOwnWhereNoneIsNamed) {
  const auto part = std::make_shared<GaussianPart>(random_gaussian(kResidualDim));
  const MixtureDenoiser denoiser(random_mixture(kResidualDim, 3, {.rank = 3}));
  const Tensor x = 10 * random_normal({4, kResidualDim}, 2);
  const auto sigmas = karras_sigmas({.steps = 6, .sigma_max = 10});
  for (const auto& name : residual_solver_names()) {
    const auto with = [&](std::optional<ResidualWeight> weight) {
      return residual_solver(name, part, {.sigma_c = 1, .weight = weight})(denoiser, x, sigmas, {});
    };
    const bool slopes = name == "ipndm";
    EXPECT_TRUE(torch::equal(with({}), with(slopes ? ResidualWeight::scalar : ResidualWeight::mode))) << name;
    EXPECT_FALSE(torch::equal(with({}), with(slopes ? ResidualWeight::mode : ResidualWeight::scalar))) << name;
  }
}

TEST(ResidualOrder, IsOneWithTheScalarWeight) {
  const auto part = std::make_shared<GaussianPart>(random_gaussian(kResidualDim));
  for (const char* name : {"dpmpp_2m", "dpmpp_3m", "ipndm"})
    EXPECT_NEAR(order_on_a_mixture(residual_solver(name, part, {.weight = ResidualWeight::scalar})), 1, 0.2) << name;
}

TEST(ResidualSolver, RefusesWhatHasNoSuchForm) {
  const auto part = std::make_shared<IsotropicPart>(0);
  EXPECT_THAT(message_of<InvalidArgument>([&] { residual_solver("heun", part); }),
              HasSubstr("--residual: expected --solver to be one of dpmpp_2m, dpmpp_3m, unipc_bh1, unipc_bh2, ipndm, got heun"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { residual_solver("ipndm", part, {.sigma_c = -1}); }), HasSubstr("sigma_c >= 0, got -1"));
}

}  // namespace
}  // namespace headstart
