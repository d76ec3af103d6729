#include "headstart/metrics/frechet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/error.h"
#include "headstart/metrics/features.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

FeatureMoments moments(const Tensor& mean, const Tensor& covariance) { return {mean, covariance, 100}; }

TEST(FrechetDistance, OfASetToItselfIsZero) {
  const FeatureMoments a = moments(random_normal({6}, 1), random_covariance(6, 2));
  EXPECT_NEAR(frechet_distance(a, a).value, 0, 1e-12);
}

TEST(FrechetDistance, OfCommutingCovariancesIsTheSumOverModes) {
  const Tensor a = torch::tensor({4.0, 1.0, 0.25}, torch::kFloat64), b = torch::tensor({1.0, 9.0, 0.25}, torch::kFloat64);
  const Tensor m = torch::tensor({1.0, 0.0, 2.0}, torch::kFloat64), zero = torch::zeros({3}, torch::kFloat64);
  const FrechetDistance d = frechet_distance(moments(m, torch::diag(a)), moments(zero, torch::diag(b)));
  EXPECT_NEAR(d.mean_term, 5, 1e-14);
  EXPECT_NEAR(d.covariance_term, 1 + 4, 1e-12);  // (2-1)^2 + (1-3)^2 + 0
  EXPECT_NEAR(d.value, 10, 1e-12);
}

TEST(FrechetDistance, IsSymmetricAndInvariantUnderRotation) {
  const FeatureMoments a = moments(random_normal({5}, 1), random_covariance(5, 2)),
                       b = moments(random_normal({5}, 3), random_covariance(5, 4));
  const auto q = std::get<0>(torch::linalg_qr(random_normal({5, 5}, 5)));
  const auto rotate = [&](const FeatureMoments& m) { return moments(q.mv(m.mean), q.mm(m.covariance).mm(q.t())); };
  const double value = frechet_distance(a, b).value;
  EXPECT_NEAR(frechet_distance(b, a).value, value, 1e-11);
  EXPECT_NEAR(frechet_distance(rotate(a), rotate(b)).value, value, 1e-11);
  // tr sqrt(S1 S2) from the eigenvalues of the unsymmetric product: another route to the same number.
  const Tensor roots = torch::linalg_eigvals(a.covariance.mm(b.covariance)).sqrt();
  const double expected = (a.mean - b.mean).square().sum().item<double>() + a.covariance.trace().item<double>() +
                          b.covariance.trace().item<double>() - 2 * torch::real(roots).sum().item<double>();
  EXPECT_NEAR(value, expected, 1e-10);
}

TEST(FrechetDistance, HandlesSingularCovariancesAndReportsTheRounding) {
  const Tensor x = random_normal({4, 10}, 6);  // rank 3 in 10 dimensions
  const FeatureMoments a = feature_moments(x);
  const FrechetDistance d = frechet_distance(a, a);
  EXPECT_NEAR(d.value, 0, 1e-6);
  EXPECT_LE(d.clipped, 0);
  EXPECT_GT(d.clipped, -1e-12);
}

TEST(FrechetDistance, RefusesWidthsAndNonFiniteMoments) {
  const FeatureMoments a = moments(torch::zeros({2}, torch::kFloat64), torch::eye(2, torch::kFloat64));
  FeatureMoments b = moments(torch::zeros({3}, torch::kFloat64), torch::eye(3, torch::kFloat64));
  EXPECT_THAT(message_of<InvalidArgument>([&] { frechet_distance(a, b); }), HasSubstr("equal width, got 2 and 3"));
  b = a;
  b.mean = a.mean / 0;
  EXPECT_THAT(message_of<NumericalError>([&] { frechet_distance(a, b); }), HasSubstr("finite moments"));
}

TEST(FeatureMoments, UseTheUnbiasedDivisor) {
  const Tensor x = torch::tensor({1.0, 2.0, 3.0, 6.0}, torch::kFloat64).unsqueeze(1);
  const FeatureMoments m = feature_moments(x);
  EXPECT_NEAR(m.mean.item<double>(), 3, 1e-15);
  EXPECT_NEAR(m.covariance.item<double>(), 14.0 / 3, 1e-14);
  EXPECT_THAT(message_of<InvalidArgument>([&] { feature_moments(x.narrow(0, 0, 1)); }), HasSubstr("N >= 2"));
}

TEST(FrechetInterval, CoversTheSpreadOfRepeatedSampling) {
  // The interval's half width against 1.96 standard deviations over 60 independent sets of 400 samples: their ratio has about 10 % error
  // each way; a factor of 1.6 is more than 4.5 deviations of its logarithm (false alarm below 1e-5, and the seeds are fixed).
  const FeatureMoments reference = moments(torch::zeros({3}, torch::kFloat64), torch::eye(3, torch::kFloat64));
  double sum = 0, square = 0, half = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Tensor x = random_normal({400, 3}, 100 + i) * 1.3 + 0.5;
    const double value = frechet_distance(feature_moments(x), reference).value;
    sum += value;
    square += value * value;
    if (i < 5) {
      const Interval interval = frechet_interval(x, reference);
      EXPECT_LT(interval.low, value);
      EXPECT_GT(interval.high, value);
      half += 0.5 * (interval.high - interval.low) / 5;
    }
  }
  const double deviation = std::sqrt(square / 60 - sum / 60 * sum / 60);
  EXPECT_LT(std::abs(std::log(half / (1.96 * deviation))), std::log(1.6));
}

TEST(Pixels, AreTheImagesFlattened) {
  const auto space = open_features("pixels", {1, 2, 3});
  EXPECT_EQ(space->name(), "pixels");
  EXPECT_EQ(space->extract(torch::zeros({5, 1, 2, 3})).sizes().vec(), (std::vector<std::int64_t>{5, 6}));
  EXPECT_THAT(message_of<DataError>([] { open_features("no-such-file", {1, 2, 3}); }), HasSubstr("no-such-file"));
}

}  // namespace
}  // namespace headstart
