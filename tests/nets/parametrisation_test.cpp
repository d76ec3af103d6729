#include "headstart/nets/parametrisation.h"

#include "headstart/nets/precondition.h"
#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

/// x0 and its noise, so that every prediction's exact target is known: a right conversion returns x0.
struct Parametrised : testing::Test {
  Parametrised() {
    torch::manual_seed(0);
    x0 = torch::randn({33, 2, 2, 3}, torch::kFloat64);
    n = torch::randn_like(x0);
    x = x0 + sigma * n;
  }

  void expect_x0(const Tensor& denoised) const { EXPECT_LT(max_abs(denoised - x0), 1e-11); }

  Tensor sigma = torch::logspace(-2, 2, 33, 10.0, torch::kFloat64).view({33, 1, 1, 1}), x0, n, x;
};

TEST_F(Parametrised, EpsIsTheNoise) { expect_x0(denoised_from_eps(x, n, sigma)); }

TEST_F(Parametrised, VIsTheNoiseMinusTheImageTurned) {
  const auto [level, alpha, s] = levels_of(Scaling::preserving, sigma);
  expect_x0(denoised_from_v(alpha * x, alpha * n - s * x0, alpha, s));
}

TEST_F(Parametrised, FlowIsTheVelocity) {
  const auto [level, alpha, s] = levels_of(Scaling::interpolating, sigma);
  expect_x0(denoised_from_flow(alpha * x, n - x0, s));
}

TEST_F(Parametrised, ScoreIsTheNoiseOverItsScale) {
  for (const Scaling scaling : {Scaling::none, Scaling::preserving, Scaling::interpolating}) {
    const auto [level, alpha, s] = levels_of(scaling, sigma);
    expect_x0(denoised_from_score(alpha * x, -n / s, alpha, s));
  }
}

TEST_F(Parametrised, EdmIsTheScaledRest) {
  const auto c = edm_preconditioning(sigma, 0.4);
  expect_x0(denoised_from_edm(x, (x0 - c.c_skip * x) / c.c_out, sigma, 0.4));
}

TEST_F(Parametrised, LevelsKeepShapeAndDtype) {
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const auto [level, alpha, s] = levels_of(Scaling::preserving, sigma.to(type));
    EXPECT_EQ(alpha.sizes(), sigma.sizes());
    EXPECT_EQ(s.scalar_type(), type);
    EXPECT_LT(max_abs(alpha.square() + s.square() - 1), type == torch::kFloat64 ? 1e-14 : 1e-6);
    EXPECT_LT(max_abs(s / alpha / sigma - 1), 1e-6);
  }
}

TEST(TimeEncoding, WritesALevelInEveryForm) {
  const Schedule flow = flow_schedule(), table = ve_steps(0.01, 100, 5);  // 0.01, 0.1, 1, 10, 100
  EXPECT_NEAR(encode_time({.kind = Time::sigma}, flow, 3), 3, 1e-15);
  EXPECT_NEAR(encode_time({.kind = Time::log_sigma}, flow, 3), std::log(3.0), 1e-15);
  EXPECT_NEAR(encode_time({.kind = Time::c_noise, .scale = 1000}, flow, 3), 250 * std::log(3.0), 1e-12);
  EXPECT_NEAR(encode_time({.kind = Time::t}, flow, 3), 0.75, 1e-15);
  EXPECT_NEAR(encode_time({.kind = Time::t, .scale = 1000, .flip = true}, flow, 3), 250, 1e-12);
  EXPECT_NEAR(encode_time({.kind = Time::step}, table, 10), 3, 1e-12);
  EXPECT_NEAR(encode_time({.kind = Time::step, .scale = 0.25, .flip = true}, table, 10), 0.25, 1e-12);
}

TEST(TimeEncoding, RoundsToTheNearestStepInLogSigma) {
  const Schedule table = ve_steps(0.01, 100, 5);
  const TimeEncoding step{.kind = Time::step, .integer = true};
  EXPECT_EQ(encode_time(step, table, 3.1), 2);  // the middle of 1 and 10 is sqrt(10) = 3.16
  EXPECT_EQ(encode_time(step, table, 3.2), 3);
  EXPECT_EQ(encode_time({.kind = Time::step, .flip = true, .integer = true}, table, 3.2), 1);
  EXPECT_EQ(encode_time({.kind = Time::step, .scale = 10, .integer = true}, table, 3.2), 30);  // of a table that kept every tenth step
  EXPECT_EQ(encode_time({.kind = Time::t, .scale = 1000, .integer = true}, flow_schedule(), 3), 750);
}

TEST(TimeEncoding, RefusesALevelWithoutATime) {
  expect_error<InvalidArgument>({"[Schedule::time_of]", "got 200"},
                                [] { encode_time({.kind = Time::step}, vp_linear(1e-4, 0.02, 1000), 200); });
  expect_error<InvalidArgument>({"[Schedule::time_of]", "got 200"}, [] {
    network_time({.time = {.kind = Time::t}, .schedule = vp_continuous(0.1, 20)}, torch::tensor({1.0, 200.0}));
  });
}

TEST(NetworkTime, IsOneNumberARowInTheTypeThatWasAskedFor) {
  const Tensor sigma = torch::tensor({0.01, 1.0, 100.0}, torch::kFloat64).view({3, 1, 1, 1});
  Parametrisation p{.time = {.kind = Time::step}, .schedule = ve_steps(0.01, 100, 5)};
  EXPECT_EQ(network_time(p, sigma).scalar_type(), torch::kFloat32);
  p.time.integer = true;
  EXPECT_TRUE(torch::equal(network_time(p, sigma), torch::tensor({0, 2, 4}, torch::kInt64)));
}

}  // namespace
}  // namespace headstart
