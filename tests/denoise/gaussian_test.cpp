#include "headstart/denoise/gaussian.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kDim = 10;

TEST(GaussianDenoiser, EqualsThePosteriorMeanByDenseAlgebra) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kDim, cut);
    const GaussianDenoiser denoiser(s);
    const Tensor c = dense_covariance(s), x = 3 * random_normal({5, kDim}, 7);
    for (const double sigma : {0.01, 0.5, 3.0, 80.0}) {
      const Tensor gain = c.mm(torch::linalg_inv(c + sigma * sigma * torch::eye(kDim, torch::kFloat64)));
      EXPECT_LT(largest_difference(denoiser.denoise(x, sigma), s.mean + (x - s.mean).mm(gain.t())), 1e-10) << sigma;
    }
  }
}

TEST(GaussianDenoiser, TakesOneSigmaARow) {
  const GaussianDenoiser denoiser(random_gaussian(kDim, {.rank = 4}));
  const Tensor x = random_normal({3, kDim}, 8), sigma = torch::tensor({0.1, 1.0, 10.0}, torch::kFloat64);
  const Tensor together = denoiser.denoise(x, sigma);
  for (int i = 0; i < 3; ++i) EXPECT_LT(largest_difference(together[i], denoiser.denoise(x.narrow(0, i, 1), sigma[i])[0]), 1e-15);
}

TEST(GaussianDenoiser, KeepsTheDtypeOfItsPoints) {
  const GaussianDenoiser denoiser(random_gaussian(kDim));
  const Tensor x = random_normal({4, kDim}, 8), single = denoiser.denoise(x.to(torch::kFloat32), 0.7);
  EXPECT_EQ(single.scalar_type(), torch::kFloat32);
  EXPECT_LT(largest_difference(single.to(torch::kFloat64), denoiser.denoise(x, 0.7)), 1e-5);
}

TEST(GaussianScore, IsTheGradientOfTheLogDensity) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kDim, cut);
    for (const double level : {0.3, 2.0}) {
      const Tensor x = random_normal({4, kDim}, 11).requires_grad_(), sigma = torch::scalar_tensor(level, torch::kFloat64);
      const Tensor gradient = torch::autograd::grad({gaussian_log_density(s, x, sigma).sum()}, {x})[0];
      EXPECT_LT(largest_difference(score(GaussianDenoiser(s), x.detach(), sigma), gradient), 1e-12);
    }
  }
}

TEST(GaussianLogDensity, EqualsTheDenseFormula) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kDim, cut);
    const Tensor x = random_normal({4, kDim}, 12), sigma = torch::tensor({0.2, 0.5, 1.0, 5.0}, torch::kFloat64);
    const Tensor actual = gaussian_log_density(s, x, sigma);
    for (int i = 0; i < 4; ++i) {
      const Tensor c = dense_covariance(s) + sigma[i].square() * torch::eye(kDim, torch::kFloat64), y = x[i] - s.mean;
      const double expected = -0.5 * (kDim * std::log(2 * M_PI) + std::get<1>(torch::linalg_slogdet(c)).item<double>() +
                                      y.dot(torch::linalg_inv(c).mv(y)).item<double>());
      EXPECT_NEAR(actual[i].item<double>(), expected, 1e-10);
    }
  }
}

TEST(GaussianLogDensity, RefusesASingularCovariance) {
  const GaussianStats s = random_gaussian(kDim, {.rank = 4, .mean_tail = false});
  EXPECT_THAT(message_of<InvalidArgument>([&] {
                gaussian_log_density(s, torch::zeros({1, kDim}, torch::kFloat64), torch::zeros({}, torch::kFloat64));
              }),
              HasSubstr("not singular"));
}

TEST(IsotropicDenoiser, IsTheGaussianWithOneVariance) {
  const Tensor mean = random_normal({kDim}, 1), x = random_normal({3, kDim}, 2);
  const GaussianStats s = gaussian_from_moments(mean, 0.4 * torch::eye(kDim, torch::kFloat64));
  EXPECT_LT(largest_difference(IsotropicDenoiser(mean, 0.4).denoise(x, 0.9), GaussianDenoiser(s).denoise(x, 0.9)), 1e-14);
  EXPECT_TRUE(torch::equal(IsotropicDenoiser(mean, 0).denoise(x, 0.9), mean.expand_as(x)));
  EXPECT_THAT(message_of<InvalidArgument>([&] { IsotropicDenoiser(mean, -1); }), HasSubstr("variance >= 0, got -1"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { IsotropicDenoiser(x, 1); }), HasSubstr("shape [D]"));
}

TEST(Denoiser, RefusesShapesDtypesAndLevelsAndSaysWhich) {
  const GaussianDenoiser denoiser(random_gaussian(kDim));
  const auto refusal = [&](const Tensor& x, const Tensor& sigma) {
    return message_of<InvalidArgument>([&] { denoiser.denoise(x, sigma); });
  };
  const Tensor x = torch::zeros({2, kDim}, torch::kFloat64), one = torch::ones({}, torch::kFloat64);
  EXPECT_EQ(refusal(torch::zeros({2, 9}), one), "[denoise] expected x of shape [B, 10], got [2, 9]");
  EXPECT_THAT(refusal(torch::zeros({2, kDim}, torch::kInt64), one), HasSubstr("float32 or float64, got Long"));
  EXPECT_EQ(refusal(x, torch::ones({3})), "[denoise] expected sigma to be a scalar or of shape [2], got [3]");
  EXPECT_THAT(refusal(x, -one), HasSubstr("sigma > 0"));
  EXPECT_THAT(refusal(x, one * 0), HasSubstr("sigma > 0"));
  EXPECT_THAT(refusal(x, one / 0), HasSubstr("finite sigma"));
}

TEST(Denoiser, LetsNoGradientThrough) {
  const GaussianDenoiser denoiser(random_gaussian(kDim));
  EXPECT_FALSE(denoiser.denoise(random_normal({2, kDim}, 1).requires_grad_(), 1.0).requires_grad());
}

TEST(Counted, CountsCallsAndChangesNothing) {
  const GaussianDenoiser inner(random_gaussian(kDim));
  Counted counted(inner);
  const Tensor x = random_normal({5, kDim}, 3);
  EXPECT_TRUE(torch::equal(counted.denoise(x, 2.0), inner.denoise(x, 2.0)));
  counted.denoise(x, 1.0);
  EXPECT_EQ(counted.nfe(), 2);
  counted.reset();
  EXPECT_EQ(counted.nfe(), 0);
}

TEST(MicroBatched, GivesEachRowTheSameBitsInEveryBatch) {
  const GaussianDenoiser inner(random_gaussian(200, {.rank = 60}));
  const MicroBatched batched(inner);
  const Tensor x = random_normal({40, 200}, 4);
  const Tensor all = batched.denoise(x, 1.5);
  EXPECT_LT(largest_difference(all, inner.denoise(x, 1.5)), 1e-13);
  for (const std::int64_t rows : {1, 7, 16, 17})
    for (std::int64_t begin = 0; begin + rows <= 40; begin += 5)
      EXPECT_TRUE(torch::equal(batched.denoise(x.narrow(0, begin, rows), 1.5), all.narrow(0, begin, rows)))
          << rows << " rows from " << begin;
}

TEST(GaussianLogDensity, RefusesOtherThanOneSigmaARow) {
  const GaussianStats s = random_gaussian(kDim);
  const Tensor x = torch::zeros({2, kDim}, torch::kFloat64);
  EXPECT_EQ(message_of<InvalidArgument>([&] { gaussian_log_density(s, x, torch::ones({3})); }),
            "[gaussian_log_density] expected sigma to be a scalar or of shape [2], got 3 values");
}

}  // namespace
}  // namespace headstart
