#include "headstart/metrics/frechet.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "../support/gaussians.h"
#include "headstart/core/parallel.h"
#include "headstart/error.h"

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

TEST(FrechetDistance, OfTwoByTwoMatricesIsWhatPaperGives) {
  // tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)) for M of size 2. Here M = S1 S2 has trace 10 and determinant 3 * 4, and S1 S2 != S2 S1.
  const Tensor s1 = torch::tensor({{2.0, 1.0}, {1.0, 2.0}}, torch::kFloat64), s2 = torch::tensor({{1.0, 0.0}, {0.0, 4.0}}, torch::kFloat64);
  const Tensor m = torch::tensor({3.0, -1.0}, torch::kFloat64), zero = torch::zeros({2}, torch::kFloat64);
  const FrechetDistance d = frechet_distance(moments(m, s1), moments(zero, s2));
  EXPECT_NEAR(d.mean_term, 10, 1e-14);
  EXPECT_NEAR(d.covariance_term, 4 + 5 - 2 * std::sqrt(10 + 2 * std::sqrt(12.0)), 1e-12);
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
  EXPECT_THAT(message_of<NumericalError>([&] { frechet_distance(b, a); }), HasSubstr("finite moments"));
}

TEST(FrechetDistance, RefusesWhatIsNoCovarianceAndReportsWhatIsRounding) {
  const Tensor zero = torch::zeros({2}, torch::kFloat64);
  const FeatureMoments unit = moments(zero, torch::eye(2, torch::kFloat64));
  const auto with_eigenvalue = [&](double value) { return moments(zero, torch::diag(torch::tensor({3.0, value}, torch::kFloat64))); };
  EXPECT_THAT(message_of<NumericalError>([&] { frechet_distance(unit, with_eigenvalue(-0.5)); }), HasSubstr("eigenvalue -0.5"));
  EXPECT_THAT(message_of<NumericalError>([&] { frechet_distance(with_eigenvalue(-0.5), unit); }), HasSubstr("eigenvalue -0.5"));
  const FrechetDistance d = frechet_distance(unit, with_eigenvalue(-1e-9));  // as float32 leaves it
  EXPECT_EQ(d.clipped, -1e-9);
  EXPECT_NEAR(d.value, std::pow(std::sqrt(3.0) - 1, 2) + 1, 1e-8);
}

TEST(FrechetDistance, OfSetsThatVaryInDifferentDirectionsIsDefined) {
  // The product of the roots is nothing but rounding, which must not be taken for a negative eigenvalue.
  const Tensor x = random_normal({50, 6}, 1), left = x * torch::tensor({1.0, 1.0, 1.0, 0.0, 0.0, 0.0}, torch::kFloat64);
  const auto q = std::get<0>(torch::linalg_qr(random_normal({6, 6}, 2)));
  const FeatureMoments a = feature_moments(left.mm(q)), b = feature_moments((x - left).mm(q));
  const double expected = (a.mean - b.mean).square().sum().item<double>() + (a.covariance + b.covariance).trace().item<double>();
  EXPECT_NEAR(frechet_distance(a, b).value, expected, 1e-6);
}

TEST(CovarianceRank, CountsWhatIsNotRounding) {
  EXPECT_EQ(covariance_rank(feature_moments(random_normal({4, 10}, 6) * 1e-3).covariance), 3);
  EXPECT_EQ(covariance_rank(feature_moments(random_normal({30, 10}, 6)).covariance), 10);
  EXPECT_EQ(covariance_rank(torch::zeros({5, 5}, torch::kFloat64)), 0);
}

TEST(FeatureMoments, UseTheUnbiasedDivisor) {
  const Tensor x = torch::tensor({1.0, 2.0, 3.0, 6.0}, torch::kFloat64).unsqueeze(1);
  const FeatureMoments m = feature_moments(x);
  EXPECT_NEAR(m.mean.item<double>(), 3, 1e-15);
  EXPECT_NEAR(m.covariance.item<double>(), 14.0 / 3, 1e-14);
  EXPECT_THAT(message_of<InvalidArgument>([&] { feature_moments(x.narrow(0, 0, 1)); }), HasSubstr("N >= 2"));
}

// ---- resamples

TEST(FrechetResamples, AreTheDistancesOfRowsDrawnAgain) {
  // The same draws, done by copying rows.
  const Tensor x = random_normal({50, 4}, 1) + 100;  // a large mean must not cost digits
  const FeatureMoments reference = moments(torch::zeros({4}, torch::kFloat64), random_covariance(4, 2));
  const Tensor resamples = frechet_resamples(x, reference, {.resamples = 7, .seed = 3});
  ASSERT_EQ(resamples.numel(), 7);
  const auto generator = at::detail::createCPUGenerator(3);
  for (std::int64_t i = 0; i < 7; ++i) {
    const Tensor rows = x.index_select(0, torch::randint(0, 50, {50}, generator, torch::kInt64));
    EXPECT_NEAR(resamples[i].item<double>(), frechet_distance(feature_moments(rows), reference).value, 1e-8);
  }
}

TEST(FrechetResamples, DoNotDependOnThreadsAndCanBeStopped) {
  const Tensor x = random_normal({300, 5}, 1);
  const FeatureMoments reference = moments(torch::zeros({5}, torch::kFloat64), torch::eye(5, torch::kFloat64));
  std::vector<Tensor> results;
  const int before = threads();
  for (const int count : {1, 3}) {
    set_threads(count);
    results.push_back(frechet_resamples(x, reference, {.resamples = 10}));
  }
  set_threads(before);
  EXPECT_TRUE(torch::equal(results[0], results[1]));
  std::int64_t seen = 0;
  const auto stop = [&](std::int64_t done) {
    seen = done;
    throw std::runtime_error("stop");
  };
  EXPECT_THROW(frechet_resamples(x, reference, {.resamples = 1000, .on_progress = stop}), std::runtime_error);
  EXPECT_GT(seen, 0);
  EXPECT_LT(seen, 1000);
}

TEST(FrechetResamples, RefuseTooFewAndWhatDoesNotFit) {
  const Tensor x = random_normal({5, 2}, 1);
  const FeatureMoments reference = moments(torch::zeros({2}, torch::kFloat64), torch::eye(2, torch::kFloat64));
  EXPECT_THAT(message_of<InvalidArgument>([&] { frechet_resamples(x, reference, {.resamples = 1}); }), HasSubstr("at least 2 resamples"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { frechet_resamples(x.narrow(1, 0, 1), reference); }), HasSubstr("equal width, got 1 and 2"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { frechet_resamples(x[0], reference); }), HasSubstr("N >= 2"));
  EXPECT_THAT(message_of<NumericalError>([&] { frechet_resamples(x / 0, reference); }), HasSubstr("finite features"));
}

TEST(FrechetIntervals, CoverTheTruthAtTheStatedRate) {
  // Pairs of sets whose distances to N(0, I) are known, and whose samples share their noise as runs with equal seeds do. N is large enough
  // for the bias (0.01 of distances near 1.1, with standard deviation 0.06) not to matter. Of 150 intervals of 95 % fewer than 130 cover
  // with probability 2e-5, all of them with 5e-4; and an interval of 80 % coverage fails this with probability 0.97.
  constexpr std::int64_t kSets = 150, kRows = 500;
  const FeatureMoments reference = moments(torch::zeros({2}, torch::kFloat64), torch::eye(2, torch::kFloat64));
  const double a_true = 2 * 0.49 + 2 * 0.25 * 0.25, b_true = 2 * 0.64 + 2 * 0.2 * 0.2;
  std::int64_t of_a = 0, of_difference = 0, of_ratio = 0;
  double paired = 0, unpaired = 0;
  for (std::int64_t i = 0; i < kSets; ++i) {
    const Tensor noise = random_normal({kRows, 2}, 1000 + i);
    const Tensor a = noise * 1.25 + 0.7, b = noise * 1.2 + 0.8;
    const double a_value = frechet_distance(feature_moments(a), reference).value,
                 b_value = frechet_distance(feature_moments(b), reference).value;
    const Tensor as = frechet_resamples(a, reference, {.resamples = 40, .seed = i}),
                 bs = frechet_resamples(b, reference, {.resamples = 40, .seed = i});
    const auto covers = [](const Interval& interval, double truth) { return interval.low < truth && truth < interval.high; };
    const Interval single = interval_about(a_value, as), difference = interval_about(a_value - b_value, as - bs);
    of_a += covers(single, a_true);
    of_difference += covers(difference, a_true - b_true);
    of_ratio += covers(interval_about(a_value / b_value, as / bs), a_true / b_true);
    const Interval other = interval_about(b_value, bs);
    paired += difference.high - difference.low;
    unpaired += std::hypot(single.high - single.low, other.high - other.low);
  }
  for (const std::int64_t covered : {of_a, of_difference, of_ratio}) {
    EXPECT_GE(covered, 130);
    EXPECT_LT(covered, kSets);
  }
  EXPECT_LT(paired, 0.2 * unpaired);
}

TEST(FrechetIntervals, KnowTheBiasOfAFewSamples) {
  // Samples of the reference itself, so all of the distance is bias: |m|^2 alone is 6 / 100 on average. Over 100 sets the mean value and
  // the mean estimate have standard errors of about 3 % each, and second-order terms add as much; 25 % apart is out of their reach.
  const FeatureMoments reference = moments(torch::zeros({6}, torch::kFloat64), torch::eye(6, torch::kFloat64));
  double values = 0, biases = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Tensor x = random_normal({100, 6}, 500 + i);
    const double value = frechet_distance(feature_moments(x), reference).value;
    values += value / 100;
    biases += estimated_bias(value, frechet_resamples(x, reference, {.resamples = 40})) / 100;
  }
  EXPECT_GT(values, 0.06);
  EXPECT_NEAR(biases / values, 1, 0.25);
}

}  // namespace
}  // namespace headstart
