#include "headstart/denoise/mixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "../support/gaussians.h"
#include "../support/golden.h"
#include "../support/mixtures.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kMixtureDim = 10;

Tensor scalar(double value) { return torch::scalar_tensor(value, torch::kFloat64); }

TEST(MixtureDenoiser, EqualsThePosteriorMeanByDenseAlgebra) {
  for (const auto& cut : all_cuts()) {
    const MixtureStats s = random_mixture(kMixtureDim, 4, cut);
    const MixtureDenoiser denoiser(s);
    const Tensor x = 2 * random_normal({6, kMixtureDim}, 7);
    for (const double sigma : {0.05, 0.5, 3.0, 80.0}) {
      const Tensor weights = dense_log_joint(s, x, sigma).softmax(1);
      Tensor expected = torch::zeros_like(x);
      for (std::int64_t k = 0; k < 4; ++k) {
        const Tensor c = dense_covariance(s.component(k)), noisy = c + sigma * sigma * torch::eye(kMixtureDim, torch::kFloat64);
        const Tensor mean = s.mean[k] + (x - s.mean[k]).mm(torch::linalg_inv(noisy).mm(c));
        expected += weights.select(1, k).unsqueeze(1) * mean;
      }
      EXPECT_LT(largest_difference(denoiser.denoise(x, sigma), expected), 1e-9) << sigma;
    }
  }
}

TEST(MixtureDenoiser, OfOneComponentIsTheGaussianDenoiser) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kMixtureDim, cut);
    const Tensor x = 3 * random_normal({5, kMixtureDim}, 3);
    for (const double sigma : {0.01, 1.0, 80.0})
      EXPECT_LT(largest_difference(MixtureDenoiser(mixture_of(s)).denoise(x, sigma), GaussianDenoiser(s).denoise(x, sigma)), 1e-12)
          << sigma;
  }
}

TEST(MixtureDenoiser, OfZeroWidthOnTheDataIsTheExactScoreOfTheData) {
  const Tensor points = random_normal({30, kMixtureDim}, 5), x = points.narrow(0, 0, 8) + 0.5 * random_normal({8, kMixtureDim}, 6);
  MixtureStats s;
  s.weights = torch::full({30}, 1.0 / 30, torch::kFloat64);
  s.mean = points;
  s.basis = torch::eye(kMixtureDim, torch::kFloat64).narrow(1, 0, 1).repeat({30, 1, 1});
  s.eigenvalues = torch::zeros({30, 1}, torch::kFloat64);
  s.tail = torch::zeros({30}, torch::kFloat64);
  for (const double sigma : {0.1, 0.5, 2.0, 20.0}) {
    const Tensor distances = (x.unsqueeze(1) - points.unsqueeze(0)).square().sum(2);
    const Tensor expected = (-distances / (2 * sigma * sigma)).softmax(1).mm(points);
    EXPECT_LT(largest_difference(MixtureDenoiser(s).denoise(x, sigma), expected), 1e-12) << sigma;
  }
}

TEST(MixtureScore, IsTheGradientOfTheLogDensity) {
  for (const auto& cut : all_cuts()) {
    const MixtureStats s = random_mixture(kMixtureDim, 5, cut, 0.5);
    for (const double sigma : {0.3, 1.0, 10.0}) {
      const Tensor x = random_normal({6, kMixtureDim}, 11).requires_grad_();
      const Tensor gradient = torch::autograd::grad({dense_log_joint(s, x, sigma).logsumexp(1).sum()}, {x})[0];
      EXPECT_LT(largest_difference(score(MixtureDenoiser(s), x.detach(), scalar(sigma)), gradient), 1e-9) << sigma;
    }
  }
}

TEST(MixtureDenoiser, TakesOneSigmaARow) {
  const MixtureDenoiser denoiser(random_mixture(kMixtureDim, 3, {.rank = 4}));
  const Tensor x = random_normal({3, kMixtureDim}, 8), sigma = torch::tensor({0.1, 1.0, 10.0}, torch::kFloat64);
  const Tensor together = denoiser.denoise(x, sigma);
  for (int i = 0; i < 3; ++i) EXPECT_LT(largest_difference(together[i], denoiser.denoise(x.narrow(0, i, 1), sigma[i])[0]), 1e-14);
}

TEST(MixtureDenoiser, IsTheSameForAnyNumberOfRowsBeyondABlock) {
  const MixtureDenoiser denoiser(random_mixture(kMixtureDim, 3, {.rank = 4}));
  const Tensor x = random_normal({1200, kMixtureDim}, 8), sigma = 0.1 + random_normal({1200}, 9).abs();
  const Tensor all = denoiser.denoise(x, sigma);
  for (const std::int64_t begin : {0, 500, 700, 1199}) {
    const std::int64_t size = std::min<std::int64_t>(300, 1200 - begin);
    EXPECT_LT(largest_difference(denoiser.denoise(x.narrow(0, begin, size), sigma.narrow(0, begin, size)), all.narrow(0, begin, size)),
              1e-13);
  }
}

TEST(MixtureDenoiser, KeepsTheDtypeOfItsPoints) {
  const MixtureDenoiser denoiser(random_mixture(kMixtureDim, 4, {.rank = 4}));
  const Tensor x = random_normal({50, kMixtureDim}, 8);
  for (const double sigma : {0.1, 1.0, 80.0}) {
    const Tensor single = denoiser.denoise(x.to(torch::kFloat32), sigma);
    EXPECT_EQ(single.scalar_type(), torch::kFloat32);
    EXPECT_LT(largest_difference(single.to(torch::kFloat64), denoiser.denoise(x.to(torch::kFloat32).to(torch::kFloat64), sigma)), 1e-4)
        << sigma;
  }
}

TEST(MixtureDenoiser, ChoosesTheNearComponentWhereAllDensitiesUnderflow) {
  const MixtureStats s = random_mixture(kMixtureDim, 3, {.rank = 4}, 1000);
  for (std::int64_t k = 0; k < 3; ++k) {
    const Tensor x = s.mean[k].unsqueeze(0) + random_normal({1, kMixtureDim}, 4);
    EXPECT_LT(largest_difference(MixtureDenoiser(s).denoise(x, 0.1), GaussianDenoiser(s.component(k)).denoise(x, 0.1)), 1e-9);
  }
}

TEST(MixtureDenoiser, GivesEachRowTheSameBitsWhicheverComponentsItsNeighboursNeed) {
  const MixtureStats s = random_mixture(64, 12, {.rank = 20}, 3);
  const MixtureDenoiser inner(s);
  const MicroBatched batched(inner);
  const Tensor x = points_of(s, 60, 5).to(torch::kFloat32);  // near one component each
  const Tensor all = batched.denoise(x, 0.2);
  for (const std::int64_t rows : {1, 5, 16, 23})
    for (std::int64_t begin = 0; begin + rows <= 60; begin += 7)
      EXPECT_TRUE(torch::equal(batched.denoise(x.narrow(0, begin, rows), 0.2), all.narrow(0, begin, rows)))
          << rows << " rows from " << begin;
}

TEST(Responsibilities, LoseLessThanTheBoundAndStillSumToOne) {
  const Tensor joint = 8 * random_normal({200, 20}, 3), all = joint.softmax(1);
  const Tensor kept = responsibilities(joint, 1e-3);
  EXPECT_TRUE(((kept == 0) == (all < 1e-3)).all().item<bool>());
  EXPECT_LT(largest_difference(kept.sum(1), torch::ones({200}, torch::kFloat64)), 1e-14);
  EXPECT_LT(largest_difference(kept, all), 20 * 1e-3);
  EXPECT_GT((kept == 0).sum().item<std::int64_t>(), 1000);
}

TEST(MixtureLogDensity, EqualsTheDenseFormula) {
  for (const auto& cut : all_cuts()) {
    const MixtureStats s = random_mixture(kMixtureDim, 4, cut);
    const Tensor x = random_normal({4, kMixtureDim}, 12), sigma = torch::tensor({0.2, 0.5, 1.0, 5.0}, torch::kFloat64);
    const Tensor actual = mixture_log_density(s, x, sigma);
    for (int i = 0; i < 4; ++i) {
      const Tensor expected = dense_log_joint(s, x.narrow(0, i, 1), sigma[i].item<double>()).logsumexp(1);
      EXPECT_NEAR(actual[i].item<double>(), expected.item<double>(), 1e-9);
    }
    EXPECT_LT(largest_difference(mixture_log_density(s, x, scalar(0.7)), dense_log_joint(s, x, 0.7).logsumexp(1)), 1e-9);
  }
}

/// Values of tests/golden/mixture_log_density.py.
TEST(MixtureLogDensity, EqualsSciPys) {
  const auto golden = golden_values("mixture_log_density");
  const auto values = [&](const std::string& key, const std::vector<std::int64_t>& shape) {
    return torch::tensor(golden.at(key).get<std::vector<double>>(), torch::kFloat64).reshape(shape);
  };
  MixtureStats s;
  s.weights = values("weights", {3});
  s.mean = values("mean", {3, 6});
  s.basis = values("basis", {3, 6, 2});
  s.eigenvalues = values("eigenvalues", {3, 2});
  s.tail = values("tail", {3});
  for (const auto& [sigma, expected] : golden.at("log_density").items()) {
    const Tensor actual = mixture_log_density(s, values("points", {5, 6}), scalar(std::stod(sigma)));
    EXPECT_LT(largest_difference(actual, torch::tensor(expected.get<std::vector<double>>(), torch::kFloat64)), 1e-10) << sigma;
  }
}

TEST(MixtureLogDensity, OfOneComponentIsTheGaussians) {
  const GaussianStats s = random_gaussian(kMixtureDim, {.rank = 4});
  const Tensor x = random_normal({5, kMixtureDim}, 2);
  EXPECT_LT(largest_difference(mixture_log_density(mixture_of(s), x, scalar(0)), gaussian_log_density(s, x, scalar(0))), 1e-10);
}

TEST(MixtureLogDensity, RefusesSingularCovariancesAndShapes) {
  const MixtureStats s = random_mixture(kMixtureDim, 2, {.rank = 4, .mean_tail = false});
  const auto refusal = [&](const Tensor& x, const Tensor& sigma) {
    return message_of<InvalidArgument>([&] { mixture_log_density(s, x, sigma); });
  };
  const Tensor x = torch::zeros({3, kMixtureDim}, torch::kFloat64);
  EXPECT_THAT(refusal(x, scalar(0)), HasSubstr("not singular"));
  EXPECT_THAT(refusal(x, scalar(-1)), HasSubstr("sigma >= 0"));
  EXPECT_THAT(refusal(x, scalar(NAN)), HasSubstr("sigma >= 0"));
  EXPECT_EQ(refusal(x, torch::ones({2})), "[mixture_log_density] expected sigma to be a scalar or of shape [3], got [2]");
  EXPECT_EQ(refusal(torch::zeros({3, 4}), scalar(1)), "[mixture_log_density] expected x of shape [B, 10], got [3, 4]");
  EXPECT_EQ(mixture_log_density(s, torch::zeros({0, kMixtureDim}), scalar(1)).size(0), 0);
}

TEST(MixtureDenoiser, RefusesPointsOfAnotherDimension) {
  const MixtureDenoiser denoiser(random_mixture(kMixtureDim, 2));
  EXPECT_EQ(message_of<InvalidArgument>([&] {
              denoiser.denoise(torch::zeros({2, 9}), 1.0);
            }),
            "[denoise] expected x of shape [B, 10], got [2, 9]");
}

}  // namespace
}  // namespace headstart
