#include "headstart/metrics/ood.h"

#include <gmock/gmock.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

TEST(Mahalanobis, IsTheQuadraticFormOfTheDenseCovariance) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats stats = random_gaussian(9, cut);
    const Tensor x = random_normal({6, 9}, 4), y = x - stats.mean;
    const Tensor covariance = dense_covariance(stats) + 0.04 * torch::eye(9, torch::kFloat64);
    const Tensor expected = (y * torch::linalg_solve(covariance, y.t()).t()).sum(1);
    EXPECT_LT(((mahalanobis(stats, x, 0.2) - expected) / expected).abs().max().item<double>(), 1e-10);
  }
}

TEST(ScoreNorms, AreThoseOfTheScore) {
  const GaussianStats stats = random_gaussian(9);
  const GaussianDenoiser gaussian(stats);
  const Tensor x = random_normal({4, 9}, 4), norms = score_norms(gaussian, x, {0.3, 5});
  EXPECT_EQ(norms.sizes(), (std::vector<std::int64_t>{4, 2}));
  const Tensor expected = 5 * score(gaussian, x, torch::scalar_tensor(5, torch::kFloat64)).norm(2, 1);
  EXPECT_LT(largest_difference(norms.select(1, 1), expected), 1e-12);
}

TEST(DistanceToInliers, IsAboutTheirNumberOfLevelsForThemselves) {
  const Tensor inliers = random_normal({4000, 3}, 1).mm(random_normal({3, 3}, 2)) + 5;
  EXPECT_NEAR(distance_to_inliers(inliers, inliers).mean().item<double>(), 3, 0.01);
  EXPECT_GT(distance_to_inliers(inliers, inliers.narrow(0, 0, 1) + 100).item<double>(), 1000);
}

TEST(Auroc, CountsOrderedPairsAndHalvesTies) {
  const auto of = [](std::vector<double> in, std::vector<double> out) {
    return auroc(torch::tensor(in, torch::kFloat64), torch::tensor(out, torch::kFloat64));
  };
  EXPECT_EQ(of({1, 2, 3}, {4, 5}), 1);
  EXPECT_EQ(of({4, 5}, {1, 2, 3}), 0);
  EXPECT_EQ(of({1, 2}, {1, 2}), 0.5);
  EXPECT_NEAR(of({1, 3, 5}, {2, 3}), (1 + 1.5) / 6, 1e-15);
}

TEST(Ood, RefusesWhatDoesNotFit) {
  const GaussianStats stats = random_gaussian(9);
  const Tensor x = random_normal({4, 9}, 4);
  EXPECT_THAT(message_of<InvalidArgument>([&] { mahalanobis(stats, x.narrow(1, 0, 8), 1); }),
              HasSubstr("[mahalanobis] expected x of shape [B, 9]"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { mahalanobis(stats, x, 0); }), HasSubstr("[mahalanobis] expected sigma > 0, got 0"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { score_norms(GaussianDenoiser(stats), x, {}); }), HasSubstr("expected at least one sigma"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { distance_to_inliers(x, x); }), HasSubstr("expected inliers [N, S] with N > S"));
  const Tensor flat = torch::cat({random_normal({20, 1}, 1), torch::ones({20, 1}, torch::kFloat64)}, 1);
  EXPECT_THAT(message_of<NumericalError>([&] { distance_to_inliers(flat, flat); }), HasSubstr("singular covariance"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { auroc(x.select(1, 0), torch::empty({0})); }), HasSubstr("[auroc] expected finite scores"));
}

}  // namespace
}  // namespace headstart
