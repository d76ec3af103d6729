#include "headstart/nets/precondition.h"

#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

TEST(EdmPreconditioning, HasItsKnownValuesAtSigmaData) {
  const double sd = 0.5;
  const auto c = edm_preconditioning(torch::tensor({sd}, torch::kFloat64), sd);
  EXPECT_NEAR(c.c_skip.item<double>(), 0.5, 1e-15);
  EXPECT_NEAR(c.c_out.item<double>(), sd / std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(c.c_in.item<double>(), 1 / (sd * std::sqrt(2.0)), 1e-15);
  EXPECT_NEAR(c.c_noise.item<double>(), std::log(sd) / 4, 1e-15);
}

TEST(EdmPreconditioning, ObeysItsIdentitiesAtEverySigma) {
  const double sd = 0.35;
  const Tensor sigma = torch::logspace(-3, 2, 11, 10.0, torch::kFloat64).view({11, 1, 1});
  const auto c = edm_preconditioning(sigma, sd);
  EXPECT_EQ(c.c_skip.sizes(), sigma.sizes());
  EXPECT_EQ(c.c_noise.sizes(), sigma.sizes());
  EXPECT_LT(max_abs(c.c_in.square() * (sigma.square() + sd * sd) - 1), 1e-14);
  EXPECT_LT(max_abs(c.c_out / (sigma * sd * c.c_in) - 1), 1e-14);
  EXPECT_LT(max_abs(c.c_skip / (c.c_in.square() * sd * sd) - 1), 1e-14);
  EXPECT_LT(max_abs((c.c_noise * 4).exp() / sigma - 1), 1e-14);
}

// Three numbers at five levels, each more than 5 standard errors off once in 1.7e6 seeds: 1e-5 in all, and the seed is fixed.
TEST(EdmPreconditioning, GivesInputAndTargetOfUnitVarianceOnGaussianData) {
  constexpr std::int64_t kSamples = 200'000;
  const double sd = 0.5, standard_error = std::sqrt(2.0 / kSamples);
  torch::manual_seed(0);
  for (const double level : {0.01, 0.2, 0.5, 3.0, 80.0}) {
    const Tensor x0 = sd * torch::randn({kSamples}, torch::kFloat64), x = x0 + level * torch::randn({kSamples}, torch::kFloat64);
    const auto c = edm_preconditioning(torch::scalar_tensor(level, torch::kFloat64), sd);
    const Tensor input = c.c_in * x, target = (x0 - c.c_skip * x) / c.c_out;
    EXPECT_NEAR(input.square().mean().item<double>(), 1, 5 * standard_error) << level;
    EXPECT_NEAR(target.square().mean().item<double>(), 1, 5 * standard_error) << level;
    EXPECT_NEAR((input * target).mean().item<double>(), 0, 5 / std::sqrt(double{kSamples})) << level;
  }
}

}  // namespace
}  // namespace headstart
