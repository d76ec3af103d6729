#include "headstart/nets/schedule.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "../data/data_test.h"

namespace headstart {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Named {
  std::string name;
  Schedule schedule;
};

std::vector<double> linear_betas() {
  std::vector<double> betas;
  for (int i = 0; i < 1000; ++i) betas.push_back(1e-4 + (0.02 - 1e-4) * i / 999);
  return betas;
}

/// 1 - beta multiplied up: the definition, which loses digits where the product is near 1.
std::vector<double> cumprod(const std::vector<double>& betas) {
  std::vector<double> products;
  double product = 1;
  for (const double beta : betas) products.push_back(product *= 1 - beta);
  return products;
}

double sigma_of_alpha2(double alpha2) { return std::sqrt((1 - alpha2) / alpha2); }

std::vector<Named> all_schedules() {
  return {{"sigma", sigma_schedule()},
          {"ve", ve(0.01, 50)},
          {"ve with steps", ve_steps(0.01, 50, 100)},
          {"vp_linear", vp_linear(1e-4, 0.02, 1000)},
          {"vp_linear of two steps", vp_linear(0.1, 0.1, 2)},
          {"vp_continuous", vp_continuous(0.1, 20)},
          {"vp_continuous, constant", vp_continuous(5, 5)},
          {"cosine", cosine(0.008)},
          {"cosine, s = 0", cosine(0)},
          {"cosine with steps", cosine_steps(0.008, 1000)},
          {"betas", betas_table({0.01, 0.5, 0.02, 0.9})},
          {"alphas_cumprod", alphas_cumprod_table({0.99, 0.5, 0.49, 0.001})},
          {"flow", flow_schedule()}};
}

/// Levels of the trained range, both ends among them, evenly spaced in ln sigma.
std::vector<double> levels(const Schedule& schedule, int count = 501) {
  std::vector<double> result;
  for (int i = 0; i < count; ++i)
    result.push_back(std::exp(std::lerp(std::log(schedule.sigma_min), std::log(schedule.sigma_max), i / (count - 1.0))));
  result.front() = schedule.sigma_min;
  result.back() = schedule.sigma_max;
  return result;
}

TEST(Scaling, ObeysItsDefinition) {
  for (const double sigma : {1e-8, 1e-3, 0.5, 1.0, 30.0, 1e6}) {
    const double vp = alpha_of(Scaling::preserving, sigma), flow = alpha_of(Scaling::interpolating, sigma);
    EXPECT_NEAR(vp * vp + sigma * vp * sigma * vp, 1, 1e-14);
    EXPECT_NEAR(flow + sigma * flow, 1, 1e-14);
    EXPECT_EQ(alpha_of(Scaling::none, sigma), 1);
  }
}

TEST(Schedule, HasATimeForEverySigmaAndBack) {
  for (const auto& [name, schedule] : all_schedules()) {
    double before = -kInfinity;
    for (const double sigma : levels(schedule)) {
      const double time = schedule.time_of(sigma);
      EXPECT_GT(time, before) << name << " at sigma " << sigma;
      EXPECT_NEAR(schedule.to_sigma(time) / sigma, 1, 1e-10) << name << " at sigma " << sigma;
      EXPECT_NEAR(schedule.time_of(schedule.to_sigma(time)), time, 1e-10 * std::max(1.0, time)) << name << " at time " << time;
      before = time;
    }
  }
}

TEST(Schedule, NumbersTheStepsOfATable) {
  for (const auto& [name, schedule] : all_schedules())
    for (std::int64_t i = 0; i < schedule.steps; ++i) EXPECT_NEAR(schedule.time_of(schedule.to_sigma(double(i))), double(i), 1e-8) << name;
}

TEST(Schedule, RefusesSigmasThatHaveNoTime) {
  const Schedule table = vp_linear(1e-4, 0.02, 1000);
  for (const double sigma : {158.0, 0.00999, 0.0, -1.0, std::nan(""), kInfinity})
    expect_error<InvalidArgument>({"[Schedule::time_of] expected sigma in the schedule's range [0.0100005, 157.407], got "},
                                  [&] { table.time_of(sigma); });
  const Schedule continuous = vp_continuous(0.1, 20);
  expect_error<InvalidArgument>({"range [0, 152.", "got 153"}, [&] { continuous.time_of(153); });
  for (const auto& [name, schedule] : all_schedules())
    for (const double sigma : {0.0, -1.0, std::nan(""), kInfinity})
      expect_error<InvalidArgument>({"[Schedule::time_of]"}, [&, &s = schedule] { s.time_of(sigma); });
}

TEST(Schedule, AcceptsItsEndsAfterATripThroughFloat32) {
  for (const auto& [name, schedule] : all_schedules()) {
    const double last = schedule.to_time(schedule.sigma_max), first = schedule.to_time(schedule.sigma_min);
    EXPECT_NEAR(schedule.time_of(static_cast<float>(schedule.sigma_max)), last, 1e-5 * last) << name;
    EXPECT_NEAR(schedule.time_of(static_cast<float>(schedule.sigma_min)), first, 1e-5) << name;
  }
}

TEST(Ve, IsGeometricInTime) {
  const Schedule schedule = ve(0.01, 50);
  EXPECT_NEAR(schedule.to_sigma(0), 0.01, 1e-15);
  EXPECT_NEAR(schedule.to_sigma(0.5), std::sqrt(0.01 * 50), 1e-14);
  EXPECT_NEAR(schedule.to_sigma(1), 50, 1e-12);
  const Schedule table = ve_steps(0.01, 50, 11);
  for (int i = 0; i <= 10; ++i) EXPECT_NEAR(table.to_sigma(i) / schedule.to_sigma(i / 10.0), 1, 1e-12);
}

TEST(VpLinear, IsTheProductOfItsBetas) {
  const Schedule schedule = vp_linear(1e-4, 0.02, 1000);
  EXPECT_EQ(schedule.steps, 1000);
  EXPECT_NEAR(schedule.sigma_min, std::sqrt(1e-4 / (1 - 1e-4)), 1e-12);
  EXPECT_NEAR(schedule.sigma_max, 157.407, 1e-3);
  const auto alphas = cumprod(linear_betas());
  for (std::size_t i = 0; i < alphas.size(); ++i) EXPECT_NEAR(schedule.to_sigma(double(i)) / sigma_of_alpha2(alphas[i]), 1, 1e-10);
}

TEST(Table, IsTheSameFromBetasAndFromTheirProducts) {
  const Schedule linear = vp_linear(1e-4, 0.02, 1000), betas = betas_table(linear_betas()),
                 products = alphas_cumprod_table(cumprod(linear_betas()));
  for (int i = 0; i < 1000; ++i) {
    EXPECT_NEAR(betas.to_sigma(i) / linear.to_sigma(i), 1, 1e-12);
    EXPECT_NEAR(products.to_sigma(i) / linear.to_sigma(i), 1, 1e-10);
  }
}

TEST(Table, IsLinearInLogSigmaBetweenSteps) {
  const Schedule table = vp_linear(1e-4, 0.02, 1000);
  const double between = std::pow(table.to_sigma(500), 0.75) * std::pow(table.to_sigma(501), 0.25);
  EXPECT_NEAR(table.time_of(between), 500.25, 1e-8);
  EXPECT_NEAR(table.to_sigma(500.25), between, 1e-12);
}

TEST(VpContinuous, IntegratesItsBeta) {
  const Schedule schedule = vp_continuous(0.1, 20);
  for (const double t : {1e-5, 1e-3, 0.1, 0.5, 1.0}) {
    double integral = 0;  // trapezoids: exact for a straight line
    for (int i = 0; i < 1000; ++i) integral += t / 1000 * (0.1 + 19.9 * t * (i + 0.5) / 1000);
    EXPECT_NEAR(schedule.to_sigma(t) / std::sqrt(std::expm1(integral)), 1, 1e-12) << t;
    EXPECT_NEAR(schedule.time_of(schedule.to_sigma(t)) / t, 1, 1e-12) << t;
  }
  EXPECT_NEAR(schedule.sigma_max, 152.17, 0.01);
  EXPECT_NEAR(schedule.sigma_min, 0.0105, 1e-4);
}

TEST(Cosine, IsTheRatioOfSquaredCosines) {
  for (const double s : {0.0, 0.008, 0.2}) {
    const Schedule schedule = cosine(s);
    const auto f = [s](double t) { return std::pow(std::cos((t + s) / (1 + s) * std::numbers::pi / 2), 2); };
    for (const double t : {0.01, 0.1, 0.5, 0.9, 0.99}) EXPECT_NEAR(schedule.to_sigma(t) / sigma_of_alpha2(f(t) / f(0)), 1, 1e-11) << t;
    // Where the definition above has no digits left, the inverse still has.
    EXPECT_NEAR(schedule.time_of(schedule.to_sigma(1e-6)) / 1e-6, 1, 1e-8) << s;
  }
  EXPECT_NEAR(cosine(0).to_sigma(0.5), 1, 1e-14);
}

TEST(CosineSteps, MultipliesItsClippedBetas) {
  const Schedule table = cosine_steps(0.008, 1000);
  const auto f = [](double t) { return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2); };
  std::vector<double> betas;
  for (int i = 0; i < 1000; ++i) betas.push_back(std::min(0.999, 1 - f((i + 1) / 1000.0) / f(i / 1000.0)));
  EXPECT_NEAR(betas.front(), 4.128e-5, 1e-8);  // as improved diffusion's
  EXPECT_EQ(betas.back(), 0.999);
  const auto alphas = cumprod(betas);
  for (int i = 0; i < 1000; ++i) EXPECT_NEAR(table.to_sigma(i) / sigma_of_alpha2(alphas[i]), 1, 1e-9) << i;
  for (int i = 0; i < 998; ++i) EXPECT_NEAR(table.to_sigma(i) / cosine(0.008).to_sigma((i + 1) / 1000.0), 1, 1e-6) << i;
}

TEST(Flow, IsTheOddsOfItsTime) {
  const Schedule schedule = flow_schedule();
  EXPECT_EQ(schedule.to_sigma(0.5), 1);
  EXPECT_NEAR(schedule.to_sigma(0.8), 4, 1e-14);
  EXPECT_NEAR(schedule.sigma_max, 999, 1e-9);
}

TEST(Schedule, RefusesWhatIsNone) {
  const double nan = std::nan("");
  for (const auto& [a, b] : std::vector<std::pair<double, double>>{{0, 0.02}, {0.02, 1e-4}, {1e-4, 1}, {nan, 0.02}, {1e-4, nan}})
    expect_error<InvalidArgument>({"[vp_linear] expected 0 < beta_start <= beta_end < 1, got "},
                                  [&, a = a, b = b] { vp_linear(a, b, 10); });
  for (const std::int64_t steps : {-1L, 0L, 1L, 1'000'001L}) {
    const std::string part = "expected 2 to 1000000 steps, got " + std::to_string(steps);
    expect_error<InvalidArgument>({"[vp_linear]", part}, [&] { vp_linear(1e-4, 0.02, steps); });
    expect_error<InvalidArgument>({"[cosine_steps]", part}, [&] { cosine_steps(0, steps); });
    expect_error<InvalidArgument>({"[ve_steps]", part}, [&] { ve_steps(0.1, 1, steps); });
  }
  for (const auto& [a, b] : std::vector<std::pair<double, double>>{{0, 1}, {1, 1}, {2, 1}, {nan, 1}, {0.1, kInfinity}}) {
    expect_error<InvalidArgument>({"[ve] expected 0 < sigma_min < sigma_max, got "}, [&, a = a, b = b] { ve(a, b); });
    expect_error<InvalidArgument>({"[ve_steps] expected 0 < sigma_min < sigma_max, got "}, [&, a = a, b = b] { ve_steps(a, b, 10); });
  }
  for (const auto& [a, b] : std::vector<std::pair<double, double>>{{0, 20}, {20, 1}, {nan, 20}, {1, 1001}})
    expect_error<InvalidArgument>({"[vp_continuous] expected 0 < beta_min <= beta_max <= 1000, got "},
                                  [&, a = a, b = b] { vp_continuous(a, b); });
  for (const double s : {-0.1, 1.1, nan}) {
    expect_error<InvalidArgument>({"[cosine] expected 0 <= s <= 1, got "}, [&] { cosine(s); });
    expect_error<InvalidArgument>({"[cosine_steps] expected 0 <= s <= 1, got "}, [&] { cosine_steps(s, 10); });
  }
  for (const double beta : {0.0, 1.0, -0.1, nan})
    expect_error<InvalidArgument>({"[betas_table] expected 0 < beta < 1", "got "}, [&] { betas_table({0.1, beta}); });
  for (const auto& alphas : std::vector<std::vector<double>>{{1.0, 0.5}, {0.5, 0.5}, {0.4, 0.5}, {0.5, 0.0}, {0.5, nan}})
    expect_error<InvalidArgument>({"[alphas_cumprod_table] expected values that descend strictly inside (0, 1)"},
                                  [&] { alphas_cumprod_table(alphas); });
  for (const auto& table : std::vector<std::vector<double>>{{1, 1}, {2, 1}, {0, nan}, {0, 1000}, {-2000, 0}})
    expect_error<InvalidArgument>({"[step_table] expected finite sigmas that rise strictly"}, [&] { step_table(Scaling::none, table); });
  expect_error<InvalidArgument>({"[step_table] expected 2 to 1000000 steps, got 1"}, [&] { step_table(Scaling::none, {0.0}); });
  expect_error<InvalidArgument>({"[step_table] expected 2 to 1000000 steps, got 0"}, [&] { betas_table({}); });
}

}  // namespace
}  // namespace headstart
