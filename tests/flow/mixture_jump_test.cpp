#include "headstart/flow/mixture_jump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

JumpNoise random_noise(std::int64_t rows, std::int64_t dim, std::uint64_t seed) {
  return {.uniform = torch::rand({rows}, at::detail::createCPUGenerator(seed), torch::kFloat64),
          .normal = random_normal({rows, dim}, seed + 1)};
}

TEST(MixtureJump, OfOneComponentIsTheGaussians) {
  const GaussianStats s = random_gaussian(6, {.rank = 3});
  const Tensor x = 5 * random_normal({20, 6}, 2);
  const JumpNoise noise = random_noise(20, 6, 3);
  const SigmaStep step{.from = 5, .to = 1};
  EXPECT_LT(largest_difference(stochastic_jump(mixture_of(s), x, step, noise), stochastic_jump(s, x, step, noise.normal)), 1e-12);
}

TEST(MixtureJump, DrawsToZeroAverageToThePosteriorMean) {
  // 40,000 draws from one state, which several components share: entries deviate by at most 4 / 200 = 0.02; the limit is six of them.
  const std::int64_t n = 40000;
  const MixtureStats m = random_mixture(4, 3, {.rank = 2}, 2);
  const Tensor x = random_normal({1, 4}, 5);
  const Tensor drawn = stochastic_jump(m, x.expand({n, 4}).contiguous(), {.from = 2, .to = 0}, random_noise(n, 4, 6));
  EXPECT_LT(largest_difference(drawn.mean(0), MixtureDenoiser(m).denoise(x, 2.0)[0]), 0.12);
  EXPECT_GT(
      largest_difference(drawn.mean(0), stochastic_jump(m.component(2), x, {.from = 2, .to = 0}, torch::zeros({1, 4}, torch::kFloat64))[0]),
      0.3);  // one component alone would not do
}

TEST(MixtureJump, KeepsTheMarginalsAndTheJointLaw) {
  // x_a = x_b + noise, so Cov(x_a, x_b) = Cov(x_b). 60,000 draws of variances below 25: limits are > 6 deviations.
  const MixtureStats m = random_mixture(4, 3, {.rank = 2}, 2);
  const double a = 3, b = 1;
  const Tensor clean = points_of(m, 60000, 7);
  const std::int64_t n = clean.size(0);
  const Tensor xa = clean + a * random_normal({n, 4}, 20), xb = stochastic_jump(m, xa, {.from = a, .to = b}, random_noise(n, 4, 21));
  const Tensor mean = m.overall_mean(), ya = xa - mean, yb = xb - mean, y = clean - mean;
  const Tensor marginal = y.t().mm(y) / n + b * b * torch::eye(4, torch::kFloat64);
  EXPECT_LT(largest_difference(yb.t().mm(yb) / n, marginal), 0.6);
  EXPECT_LT(largest_difference(ya.t().mm(yb) / n, marginal), 0.8);
  EXPECT_LT(yb.mean(0).abs().max().item<double>(), 0.12);
}

TEST(MixtureJump, TakesARowTheSameWayInAnyBatch) {
  const MixtureStats m = random_mixture(6, 3, {.rank = 3}, 2);
  const Tensor x = 3 * random_normal({37, 6}, 8);
  const JumpNoise noise = random_noise(37, 6, 9);
  const Tensor all = stochastic_jump(m, x, {.from = 3, .to = 1}, noise);
  for (const std::int64_t row : {0, 15, 36}) {
    const JumpNoise its{.uniform = noise.uniform.narrow(0, row, 1), .normal = noise.normal.narrow(0, row, 1)};
    EXPECT_TRUE(torch::equal(stochastic_jump(m, x.narrow(0, row, 1), {.from = 3, .to = 1}, its), all.narrow(0, row, 1))) << row;
  }
}

TEST(MixtureJump, RefusesShapesAndLevels) {
  const MixtureStats m = random_mixture(4, 2, {.rank = 2});
  const Tensor x = torch::zeros({3, 4}, torch::kFloat64);
  const auto refusal = [&](const SigmaStep& step, std::int64_t rows) {
    return message_of<InvalidArgument>([&] { stochastic_jump(m, x, step, random_noise(rows, 4, 1)); });
  };
  EXPECT_THAT(refusal({.from = 1, .to = 2}, 3), HasSubstr("0 <= to < from"));
  EXPECT_THAT(refusal({.from = 2, .to = 1}, 2), HasSubstr("normal noise of shape [3, 4] and uniform of [3]"));
}

}  // namespace
}  // namespace headstart
