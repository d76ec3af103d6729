#include "headstart/moments/moments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "../core/with_threads.h"
#include "../support/gaussians.h"
#include "../support/temp_dir.h"
#include "headstart/data/npy.h"
#include "headstart/data/safetensors.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

TEST(MomentAccumulator, EqualsTheDirectFormulaInWhateverBatches) {
  const Tensor x = random_normal({101, 7}, 1) + 3;
  const Tensor y = x - x.mean(0), expected = y.t().mm(y) / 101;
  for (const std::int64_t batch : {1, 10, 101}) {
    MomentAccumulator moments(7);
    for (std::int64_t i = 0; i < 101; i += batch) moments.add(x.narrow(0, i, std::min<std::int64_t>(batch, 101 - i)));
    EXPECT_EQ(moments.count(), 101);
    EXPECT_LT(largest_difference(moments.mean(), x.mean(0)), 1e-14);
    EXPECT_LT(largest_difference(moments.covariance(), expected), 1e-13);
    EXPECT_LT(largest_difference(moments.covariance(1), expected * 101 / 100), 1e-13);
  }
}

TEST(MomentAccumulator, GivesASymmetricMatrixThatDoesNotDependOnTheNumberOfThreads) {
  const Tensor x = random_normal({700, 300}, 4);  // more than one tile
  const auto covariance = [&](int threads) {
    const WithThreads with(threads);
    MomentAccumulator moments(300);
    moments.add(x);
    return moments.covariance();
  };
  const Tensor c = covariance(1), y = x - x.mean(0);
  EXPECT_TRUE(torch::equal(c, c.t()));
  EXPECT_LT(largest_difference(c, y.t().mm(y) / 700), 1e-13);
  EXPECT_TRUE(torch::equal(c, covariance(2)));
}

TEST(MomentAccumulator, DoesSomethingElseMeanwhileOnceABatch) {
  MomentAccumulator moments(3);
  int calls = 0;
  for (int i = 0; i < 4; ++i) moments.add(random_normal({5, 3}, 1), [&] { ++calls; });
  EXPECT_EQ(calls, 4);
}

TEST(MomentAccumulator, KeepsItsDigitsFarFromTheOrigin) {
  const Tensor x = random_normal({400, 3}, 2);
  MomentAccumulator near(3), far(3);
  for (int i = 0; i < 4; ++i) {
    near.add(x.narrow(0, 100 * i, 100));
    far.add(x.narrow(0, 100 * i, 100) + 1e6);
  }
  EXPECT_LT(largest_difference(near.covariance(), far.covariance()), 1e-9);  // unshifted sums of squares would lose all but four digits
}

TEST(MomentAccumulator, RefusesAnotherWidthAndTooFewPoints) {
  MomentAccumulator moments(4);
  EXPECT_THAT(message_of<InvalidArgument>([&] { moments.add(torch::zeros({2, 5})); }), HasSubstr("[B, 4]"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { moments.mean(); }), HasSubstr("at least one point"));
  moments.add(torch::zeros({1, 4}));
  EXPECT_THAT(message_of<InvalidArgument>([&] { moments.covariance(1); }), HasSubstr("more than 1 points, got 1"));
}

TEST(GaussianFromMoments, RebuildsTheCovariance) {
  const Tensor covariance = random_covariance(12, 3);
  const GaussianStats s = gaussian_from_moments(torch::zeros(12, torch::kFloat64), covariance);
  EXPECT_EQ(s.rank(), 12);
  EXPECT_EQ(s.tail, 0);
  EXPECT_LT(largest_difference(dense_covariance(s), covariance), 1e-13);
  EXPECT_LT(largest_difference(s.basis.t().mm(s.basis), torch::eye(12, torch::kFloat64)), 1e-13);
  EXPECT_TRUE((s.eigenvalues.diff() <= 0).all().item<bool>());
}

TEST(GaussianFromMoments, TheMeanTailKeepsTheTraceAndTheZeroTailDoesNot) {
  const Tensor covariance = random_covariance(12, 3), mean = torch::zeros(12, torch::kFloat64);
  const double trace = covariance.trace().item<double>();
  const GaussianStats kept = gaussian_from_moments(mean, covariance, {.rank = 4});
  EXPECT_NEAR(kept.trace(), trace, 1e-12);
  EXPECT_NEAR(kept.tail, (trace - kept.eigenvalues.sum().item<double>()) / 8, 1e-14);
  const GaussianStats cut = gaussian_from_moments(mean, covariance, {.rank = 4, .mean_tail = false});
  EXPECT_EQ(cut.tail, 0);
  EXPECT_LT(largest_difference(cut.eigenvalues, kept.eigenvalues), 1e-15);
}

TEST(GaussianFromMoments, EnergyChoosesTheSmallestSufficientRank) {
  const Tensor covariance = torch::diag(torch::tensor({5.0, 3.0, 1.0, 1.0}, torch::kFloat64)), mean = torch::zeros(4, torch::kFloat64);
  const auto rank = [&](double energy) { return gaussian_from_moments(mean, covariance, {.energy = energy}).rank(); };
  EXPECT_EQ(rank(0.4), 1);
  EXPECT_EQ(rank(0.5), 1);
  EXPECT_EQ(rank(0.51), 2);
  EXPECT_EQ(rank(0.8), 2);
  EXPECT_EQ(rank(0.81), 3);
  EXPECT_EQ(rank(1.0), 4);
}

TEST(GaussianFromMoments, RefusesRanksEnergiesAndMatricesThatAreNone) {
  const Tensor mean = torch::zeros(3, torch::kFloat64), eye = torch::eye(3, torch::kFloat64);
  EXPECT_THAT(message_of<InvalidArgument>([&] { gaussian_from_moments(mean, eye, {.rank = 4}); }), HasSubstr("rank from 1 to 3, got 4"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { gaussian_from_moments(mean, eye, {.energy = 1.5}); }),
              HasSubstr("energy in (0, 1], got 1.5"));
  EXPECT_THAT(message_of<NumericalError>([&] { gaussian_from_moments(mean, -eye); }), HasSubstr("positive covariance"));
  EXPECT_THAT(message_of<NumericalError>([&] { gaussian_from_moments(mean, eye / 0); }), HasSubstr("finite covariance"));
}

TEST(FitGaussian, StreamsAFileAndRemembersWhatItWas) {
  const TempDir dir;
  const Tensor x = random_normal({50, 6}, 5).to(torch::kFloat32);
  write_npy(dir / "x.npy", std::vector<std::int64_t>{50, 6}, std::span<const float>(x.data_ptr<float>(), 300));
  const auto stream = open_images(dir / "x.npy");
  const GaussianStats s = fit_gaussian(*stream, {.limit = 40});
  const Tensor used = x.narrow(0, 0, 40).to(torch::kFloat64), y = used - used.mean(0);
  EXPECT_EQ(s.count, 40);
  EXPECT_EQ(s.shape, (ImageShape{1, 1, 6}));
  EXPECT_LT(largest_difference(s.mean, used.mean(0)), 1e-14);
  EXPECT_LT(largest_difference(dense_covariance(s), y.t().mm(y) / 40), 1e-13);
  EXPECT_EQ(s.range_low, used.min().item<double>());
  EXPECT_EQ(s.data_sha256.size(), 64U);
}

TEST(DataRange, IsTheFirstConventionThatHoldsTheDataElseWhatWasMeasured) {
  using Range = std::pair<double, double>;
  EXPECT_EQ(data_range(true, 0, 0.3), Range(-1, 1));
  EXPECT_EQ(data_range(false, -0.5, 0.5), Range(-0.5, 0.5));
  EXPECT_EQ(data_range(false, 0, 1), Range(0, 1));
  EXPECT_EQ(data_range(false, -0.6, 0.2), Range(-1, 1));
  EXPECT_EQ(data_range(false, -0.6, 1.2), Range(-0.6, 1.2));
  EXPECT_EQ(data_range(false, 7, 7), Range(6, 8));
}

TEST(StatsFile, RoundTripsExactly) {
  const TempDir dir;
  GaussianStats s = random_gaussian(8, {.rank = 3});
  s.shape = {2, 2, 2};
  s.count = 17;
  s.data_sha256 = "abc";
  save_stats(dir / "s.safetensors", s);
  const GaussianStats t = load_stats(dir / "s.safetensors");
  EXPECT_TRUE(torch::equal(s.mean, t.mean) && torch::equal(s.basis, t.basis) && torch::equal(s.eigenvalues, t.eigenvalues));
  EXPECT_EQ(t.tail, s.tail);
  EXPECT_EQ(t.shape, s.shape);
  EXPECT_EQ(t.count, 17);
  EXPECT_EQ(t.data_sha256, "abc");
  EXPECT_EQ(SafetensorsFile(dir / "s.safetensors").metadata("format"), "headstart-stats");
}

TEST(StatsFile, RefusesWhatIsInconsistentAndNamesTheFile) {
  const TempDir dir;
  const std::string path = dir / "s.safetensors";
  const auto refusal = [&](auto change) {
    GaussianStats s = random_gaussian(8, {.rank = 3});
    s.shape = {2, 2, 2};
    change(s);
    save_stats(path, s);
    return message_of<DataError>([&] { load_stats(path); });
  };
  EXPECT_THAT(refusal([](auto& s) { s.eigenvalues = s.eigenvalues.flip(0); }), HasSubstr(path + ": expected eigenvalues descending"));
  EXPECT_THAT(refusal([](auto& s) { s.mean[0] = NAN; }), HasSubstr("finite values in mean"));
  EXPECT_THAT(refusal([](auto& s) { s.basis[0][0] = INFINITY; }), HasSubstr("finite values in basis"));
  EXPECT_THAT(refusal([](auto& s) { s.basis = s.basis * 2; }), HasSubstr("columns of length 1 that are orthogonal"));
  EXPECT_THAT(refusal([](auto& s) { s.basis.select(1, 2).copy_(s.basis.select(1, 0)); }), HasSubstr("orthogonal to each other"));
  EXPECT_THAT(refusal([](auto& s) { s.basis[3][1] += 1e-4; }), HasSubstr("orthogonal to each other"));
  EXPECT_THAT(refusal([](auto& s) { s.tail = -1; }), HasSubstr("a tail not negative"));
  EXPECT_THAT(refusal([](auto& s) { s.basis = s.basis.narrow(1, 0, 2); }), HasSubstr("expected a basis of shape [8, 3], got [8, 2]"));
  EXPECT_THAT(refusal([](auto& s) { s.shape = {1, 3, 3}; }), HasSubstr("expected a mean of 9 values"));
  EXPECT_THAT(message_of<DataError>([&] { load_stats(dir / "missing"); }), HasSubstr("missing"));
}

TEST(FittedLogLikelihood, IsTheMeanLogDensityOfTheData) {
  const Tensor x = random_normal({30, 4}, 9).mm(random_normal({4, 4}, 10));
  MomentAccumulator moments(4);
  moments.add(x);
  const GaussianStats s = gaussian_from_moments(moments.mean(), moments.covariance(), {.rank = 2});
  const Tensor c = dense_covariance(s), y = x - s.mean;
  const double quadratic = y.mm(torch::linalg_inv(c)).mul(y).sum(1).mean().item<double>();
  const double expected = -0.5 * (4 * std::log(2 * M_PI) + std::get<1>(torch::linalg_slogdet(c)).item<double>() + quadratic);
  EXPECT_NEAR(fitted_log_likelihood(s), expected, 1e-10);
  EXPECT_TRUE(
      std::isinf(fitted_log_likelihood(gaussian_from_moments(moments.mean(), moments.covariance(), {.rank = 2, .mean_tail = false}))));
}

TEST(CutToRank, IsTheFitThatWasCutAtOnce) {
  const GaussianStats full = random_gaussian(9), at_once = random_gaussian(9, {.rank = 4}), twice = cut_to_rank(cut_to_rank(full, 7), 4);
  EXPECT_EQ(largest_difference(twice.basis, at_once.basis), 0);
  EXPECT_EQ(largest_difference(twice.eigenvalues, at_once.eigenvalues), 0);
  EXPECT_NEAR(twice.tail, at_once.tail, 1e-15);
  EXPECT_NEAR(twice.trace(), full.trace(), 1e-13);
  EXPECT_EQ(message_of<InvalidArgument>([&] { cut_to_rank(full, 10); }), "[cut_to_rank] expected a rank from 1 to 9, got 10");
}

}  // namespace
}  // namespace headstart
