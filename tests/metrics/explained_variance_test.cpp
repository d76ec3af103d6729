#include "headstart/metrics/explained_variance.h"

#include <gmock/gmock.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

TEST(ExplainedVariance, IsTheFormulaPointByPoint) {
  const Tensor x = torch::tensor({{1.0, 0.0}, {0.0, 2.0}}, torch::kFloat64);
  const Tensor net = torch::tensor({{0.0, 0.0}, {0.0, 1.0}}, torch::kFloat64) + 1e-9;  // scores (-1, 0), (0, -1)
  const Tensor model = torch::tensor({{0.5, 0.0}, {0.0, 0.8}}, torch::kFloat64);       // scores (-.5, 0), (0, -1.2)
  const auto ev = explained_variance(x, net, model);
  EXPECT_NEAR(ev.score.mean, (0.75 + 0.96) / 2, 1e-8);
  EXPECT_NEAR(ev.score.std, (0.96 - 0.75) / std::sqrt(2.0), 1e-8);
  EXPECT_NEAR(ev.score.interval.high - ev.score.mean, 1.96 * ev.score.std / std::sqrt(2.0), 1e-8);
  EXPECT_NEAR(ev.score_rev.mean, ((1 - 0.25 / 0.25) + (1 - 0.04 / 1.44)) / 2, 1e-8);
  EXPECT_NEAR(ev.denoised_rev.mean, ((1 - 0.25 / 0.25) + (1 - 0.04 / 0.64)) / 2, 1e-7);
}

TEST(ExplainedVariance, IsOneForTheModelItself) {
  const Tensor x = random_normal({5, 6}, 1), net = random_normal({5, 6}, 2);
  const auto ev = explained_variance(x, net, net);
  for (const auto& share : {ev.score, ev.score_rev, ev.denoised, ev.denoised_rev}) {
    EXPECT_EQ(share.mean, 1);
    EXPECT_EQ(share.std, 0);
  }
  EXPECT_EQ(largest_difference(explained_by_mode(torch::eye(6, torch::kFloat64), x, net, net), torch::ones(6)), 0);
}

TEST(ExplainedVariance, OfAGaussianByItsLowRankFormIsKnown) {
  // In the eigenbasis s_k = -(x_k - m_k) / (lambda_k + sigma^2). Cut to rank 4 without a tail, a mode beyond it has s_k = -y_k / sigma^2,
  // so it misses by lambda_k / sigma^2 of the true one: 1 - (lambda_k / sigma^2)^2, whatever the points.
  const GaussianStats full = random_gaussian(8), cut = random_gaussian(8, {.rank = 4, .mean_tail = false});
  const double sigma = 0.7;
  const Tensor x = full.mean + random_normal({200, 8}, 3);
  const Tensor net = GaussianDenoiser(full).denoise(x, sigma), model = GaussianDenoiser(cut).denoise(x, sigma);
  const Tensor modes = explained_by_mode(full.basis, x, net, model);
  for (std::int64_t k = 0; k < 8; ++k) {
    const double ratio = full.eigenvalues[k].item<double>() / (sigma * sigma);
    EXPECT_NEAR(modes[k].item<double>(), k < 4 ? 1 : 1 - ratio * ratio, 1e-9) << "mode " << k;
  }
  EXPECT_LT(explained_variance(x, net, model).score.mean, 1);
}

TEST(ExplainedVariance, RefusesWhatItCannotCompare) {
  const Tensor x = random_normal({3, 4}, 1), other = random_normal({3, 5}, 1), zeros = torch::zeros({3, 4}, torch::kFloat64);
  EXPECT_THAT(message_of<InvalidArgument>([&] { explained_variance(x, other, x); }),
              HasSubstr("[explained_variance] expected points and two estimates of one shape"));
  EXPECT_THAT(message_of<InvalidArgument>([&] {
                explained_by_mode(random_normal({5, 2}, 1), x, x + 1, x + 2);
              }),
              HasSubstr("[explained_by_mode] expected a basis of shape [4, R]"));
  EXPECT_THAT(message_of<NumericalError>([&] { explained_variance(x, x / zeros, x); }), HasSubstr("expected finite points and estimates"));
  EXPECT_THAT(message_of<NumericalError>([&] { explained_variance(x, x, x + 1); }), HasSubstr("there is nothing to explain"));
}

}  // namespace
}  // namespace headstart
