#include "headstart/nets/schedule.h"

#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

Tensor sigmas_of(const StepTable& table) { return torch::tensor(table.log_sigmas, torch::kFloat64).exp(); }

TEST(VpLinear, HasTheRangeOfDdpm) {
  const StepTable table = vp_linear(1e-4, 0.02, 1000);
  ASSERT_EQ(table.log_sigmas.size(), 1000U);
  EXPECT_NEAR(table.sigma_min(), std::sqrt(1e-4 / (1 - 1e-4)), 1e-12);
  EXPECT_NEAR(table.sigma_max(), 157.407, 1e-3);
  EXPECT_TRUE(std::is_sorted(table.log_sigmas.begin(), table.log_sigmas.end(), std::less_equal<>()));
}

TEST(VpLinear, IsTheProductOfItsBetas) {
  const StepTable table = vp_linear(1e-4, 0.02, 1000);
  const Tensor alphas_cumprod = (1 - torch::linspace(1e-4, 0.02, 1000, torch::kFloat64)).cumprod(0);
  const Tensor expected = ((1 - alphas_cumprod) / alphas_cumprod).sqrt();
  EXPECT_LT(max_abs(sigmas_of(table) / expected - 1), 1e-10);  // the direct form loses digits where alphas_cumprod is near 1
}

TEST(VpLinear, RefusesWhatIsNoSchedule) {
  const std::vector<std::string> message{"[vp_linear] expected 0 < beta_start <= beta_end < 1 and steps >= 2"};
  expect_error<InvalidArgument>(message, [] { vp_linear(0, 0.02, 1000); });
  expect_error<InvalidArgument>(message, [] { vp_linear(0.02, 1e-4, 1000); });
  expect_error<InvalidArgument>(message, [] { vp_linear(1e-4, 1, 1000); });
  expect_error<InvalidArgument>(message, [] { vp_linear(1e-4, 0.02, 1); });
  expect_error<InvalidArgument>(message, [] { vp_linear(std::nan(""), 0.02, 10); });
}

TEST(StepTable, InvertsItsOwnPoints) {
  for (const std::int64_t steps : {2, 3, 1000}) {
    const StepTable table = vp_linear(1e-4, 0.02, steps);
    EXPECT_LT(max_abs(table.step_of(sigmas_of(table)) - torch::arange(steps, torch::kFloat64)), 1e-8);
    const Tensor rounded = table.step_of(sigmas_of(table).to(torch::kFloat32)).round().to(torch::kInt64);
    EXPECT_TRUE(torch::equal(rounded, torch::arange(steps, torch::kInt64)));
  }
}

TEST(StepTable, IsLinearInLogSigmaAndRisesBetweenPoints) {
  const StepTable table = vp_linear(1e-4, 0.02, 1000);
  const double between = std::exp(0.75 * table.log_sigmas[500] + 0.25 * table.log_sigmas[501]);
  EXPECT_NEAR(table.step_of(torch::scalar_tensor(between, torch::kFloat64)).item<double>(), 500.25, 1e-8);
  const Tensor levels = torch::linspace(table.log_sigmas.front(), table.log_sigmas.back(), 4001, torch::kFloat64)
                            .exp()
                            .clamp(table.sigma_min(), table.sigma_max());
  EXPECT_GT(table.step_of(levels).diff().min().item<double>(), 0);
}

TEST(StepTable, KeepsTheShapeOfSigma) {
  const StepTable table = vp_linear(1e-4, 0.02, 1000);
  EXPECT_EQ(table.step_of(torch::ones({2, 3, 1})).sizes().vec(), (std::vector<std::int64_t>{2, 3, 1}));
}

TEST(StepTable, RefusesSigmasOutsideItsRange) {
  const StepTable table = vp_linear(1e-4, 0.02, 1000);
  const auto ask = [&](double sigma) { return [&table, sigma] { table.step_of(torch::tensor({1.0, sigma}, torch::kFloat64)); }; };
  expect_error<InvalidArgument>({"[StepTable::step_of] expected sigma in the network's range [0.0100005, 157.407], got 158"}, ask(158));
  expect_error<InvalidArgument>({"got 0.005"}, ask(0.005));
  expect_error<InvalidArgument>({"[StepTable::step_of]"}, ask(0));
  expect_error<InvalidArgument>({"[StepTable::step_of]"}, ask(std::nan("")));
}

TEST(StepTable, AcceptsItsEndsAfterATripThroughFloat32) {
  const StepTable table = vp_linear(1e-4, 0.02, 1000);
  EXPECT_EQ(table.step_of(torch::scalar_tensor(static_cast<float>(table.sigma_max()))).item<double>(), 999);
  EXPECT_NEAR(table.step_of(torch::scalar_tensor(static_cast<float>(table.sigma_min()))).item<double>(), 0, 1e-5);
}

}  // namespace
}  // namespace headstart
