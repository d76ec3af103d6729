#include "headstart/moments/fit_mixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "../core/with_threads.h"
#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "../support/point_stream.h"
#include "headstart/error.h"
#include "headstart/moments/moments.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr double kPlenty = 1e9;

MixtureFit fit(const Tensor& points, MixtureOptions options) {
  options.memory = kPlenty;
  PointStream stream(points);
  return fit_mixture(stream, options);
}

/// Mean log-likelihood by dense algebra.
double dense_log_likelihood(const MixtureStats& s, const Tensor& x) {
  return dense_log_joint(s, x.to(torch::kFloat32).to(torch::kFloat64), 0).logsumexp(1).mean().item<double>();
}

TEST(FitMixture, NeverLowersTheLikelihood) {
  const Tensor x = points_of(random_mixture(20, 6, {}, 0.7), 1500, 2);
  for (const CovarianceKind kind : {CovarianceKind::lowrank, CovarianceKind::full, CovarianceKind::diagonal, CovarianceKind::subspaces})
    for (const std::int64_t rank : {1, 4, 19}) {
      const bool has_rank = kind == CovarianceKind::lowrank || kind == CovarianceKind::subspaces;
      const MixtureFit found =
          fit(x, {.components = 9, .rank = has_rank ? rank : 0, .covariance = kind, .seed = 1, .max_iterations = 40, .tolerance = 0});
      EXPECT_EQ(found.splits, 0);
      for (std::size_t i = 1; i + 1 < found.history.size(); ++i)  // the last one may be what has stopped it
        EXPECT_GE(found.history[i] - found.history[i - 1], -2e-6) << to_string(kind) << " rank " << rank << " pass " << i;
      EXPECT_GT(found.history.back(), found.history.front()) << to_string(kind) << " rank " << rank;
      if (!has_rank) break;
    }
}

TEST(FitMixture, SaysTheLikelihoodThatDenseAlgebraGives) {
  const Tensor x = points_of(random_mixture(12, 4), 600, 3);
  for (const CovarianceKind kind : {CovarianceKind::lowrank, CovarianceKind::full, CovarianceKind::diagonal}) {
    const MixtureFit found = fit(x, {.components = 4, .rank = kind == CovarianceKind::lowrank ? 3 : 0, .covariance = kind});
    EXPECT_NEAR(found.log_likelihood, dense_log_likelihood(found.stats, x), 1e-4) << to_string(kind);
    EXPECT_EQ(found.log_likelihood, found.history.back());
    // Weights, means, covariances.
    const double d = 12, parameters = 3 + 4 * (d + (kind == CovarianceKind::lowrank ? 3 * d - 3 + 1
                                                    : kind == CovarianceKind::full  ? 78
                                                                                    : d));
    EXPECT_NEAR(found.bic, -2 * 600 * found.log_likelihood + parameters * std::log(600), 1e-6) << to_string(kind);
  }
}

TEST(FitMixture, RecoversAMixtureWhoseComponentsAreFarApart) {
  const MixtureStats truth = random_mixture(8, 4, {.rank = 3}, 6);
  const Tensor x = points_of(truth, 20000, 4);
  const MixtureFit found = fit(x, {.components = 4, .rank = 3, .max_iterations = 200, .tolerance = 1e-5});
  // Standard errors of 2,000 points or more: 0.03 for a mean of variance 2, 0.06 for such a variance, each with 5 of them to spare.
  for (std::int64_t k = 0; k < 4; ++k) {
    const auto match = (found.stats.mean - truth.mean[k]).square().sum(1).argmin().item<std::int64_t>();
    EXPECT_LT(largest_difference(found.stats.mean[match], truth.mean[k]), 0.16);
    EXPECT_NEAR(found.stats.weights[match].item<double>(), truth.weights[k].item<double>(), 1e-3);
    EXPECT_LT(largest_difference(dense_covariance(found.stats.component(match)), dense_covariance(truth.component(k))), 0.3);
  }
  EXPECT_GT(found.log_likelihood, dense_log_likelihood(truth, x));
}

TEST(FitMixture, OfOneComponentIsTheGaussianFit) {
  const Tensor x = points_of(random_mixture(15, 3), 500, 5);
  PointStream stream(x);
  for (const std::int64_t rank : {4, 15}) {
    stream.rewind();
    const GaussianStats exact = fit_gaussian(stream, {.cut = {.rank = rank}});
    const MixtureFit found = fit(x, {.components = 1, .rank = rank, .max_iterations = 2000, .tolerance = 1e-9});
    EXPECT_LT(largest_difference(found.stats.mean[0], exact.mean), 1e-6);
    EXPECT_LT(largest_difference(dense_covariance(found.stats.component(0)), dense_covariance(exact)), 2e-3);
    EXPECT_NEAR(found.log_likelihood, fitted_log_likelihood(exact), 1e-5);
    EXPECT_EQ(found.stats.data_sha256, exact.data_sha256);
    EXPECT_EQ(found.stats.range_low, exact.range_low);
    EXPECT_EQ(found.stats.count, 500);
  }
}

TEST(FitMixture, ConvergesToAFixedPointOfTheExactUpdate) {
  const Tensor x = points_of(random_mixture(10, 3), 900, 6).to(torch::kFloat32).to(torch::kFloat64);
  const MixtureStats s = fit(x, {.components = 3, .rank = 2, .max_iterations = 3000, .tolerance = 1e-9}).stats;
  const Tensor w = dense_log_joint(s, x, 0).softmax(1);
  for (std::int64_t k = 0; k < 3; ++k) {
    const Tensor share = w.select(1, k) / w.select(1, k).sum(), mean = share.unsqueeze(0).mm(x).squeeze(0), y = x - mean;
    EXPECT_LT(largest_difference(s.mean[k], mean), 1e-2);
    const GaussianStats exact = gaussian_from_moments(mean, (y * share.unsqueeze(1)).t().mm(y), {.rank = 2});
    EXPECT_LT(largest_difference(dense_covariance(s.component(k)), dense_covariance(exact)), 3e-2);
  }
}

TEST(FitMixture, IsTheSameStreamedOrHeldAndOnAnyNumberOfThreads) {
  const Tensor x = points_of(random_mixture(30, 4), 3000, 7);
  const auto once = [&](double memory, int threads) {
    const WithThreads with(threads);
    PointStream stream(x);
    const MixtureFit found =
        fit_mixture(stream, {.components = 5, .rank = 3, .seed = 2, .max_iterations = 6, .held_out = 0.1, .memory = memory});
    EXPECT_EQ(stream.rewinds, memory > 0 ? 1 : found.passes);
    return found;
  };
  const MixtureFit held = once(kPlenty, 1), streamed = once(0, 1), threaded = once(0, 2);
  for (const MixtureFit* other : {&streamed, &threaded}) {
    EXPECT_TRUE(torch::equal(held.stats.basis, other->stats.basis) && torch::equal(held.stats.mean, other->stats.mean));
    EXPECT_EQ(held.history, other->history);
    EXPECT_EQ(held.held_out_log_likelihood, other->held_out_log_likelihood);
  }
}

TEST(FitMixture, HoldsOutEveryNthPoint) {
  const Tensor x = points_of(random_mixture(6, 2), 400, 8), number = torch::arange(400);
  const MixtureFit found = fit(x, {.components = 2, .rank = 2, .held_out = 0.25});
  const Tensor held_out = x.index_select(0, (number % 4 == 3).nonzero().flatten());
  const Tensor fitted = x.index_select(0, (number % 4 != 3).nonzero().flatten());
  EXPECT_NEAR(found.held_out_log_likelihood, dense_log_likelihood(found.stats, held_out), 1e-4);
  EXPECT_NEAR(found.log_likelihood, dense_log_likelihood(found.stats, fitted), 1e-4);
  EXPECT_EQ(found.stats.count, 300);
  EXPECT_TRUE(std::isnan(fit(x, {.components = 2, .rank = 2}).held_out_log_likelihood));
}

TEST(FitMixture, FindsSubspacesWithoutATail) {
  // Points on two planes through different points of 6 dimensions.
  Tensor planes =
      torch::cat({random_normal({300, 2}, 1).mm(random_normal({2, 6}, 2)), random_normal({300, 2}, 3).mm(random_normal({2, 6}, 4)) + 3});
  const MixtureFit found =
      fit(planes, {.components = 2, .rank = 2, .covariance = CovarianceKind::subspaces, .max_iterations = 300, .tolerance = 1e-9});
  EXPECT_EQ(found.stats.tail.abs().max().item<double>(), 0);
  EXPECT_GT(found.history.back(), -1e-6);  // all points lie in one of them
  EXPECT_TRUE(std::isnan(found.log_likelihood) && std::isnan(found.bic));
}

TEST(FitMixture, KeepsEveryVarianceAboveTheFloor) {
  // Half of the points are one and the same: without a floor their component would become infinitely narrow.
  const Tensor x = torch::cat({random_normal({100, 5}, 1), torch::full({100, 5}, 7.0, torch::kFloat64)});
  for (const CovarianceKind kind : {CovarianceKind::lowrank, CovarianceKind::full, CovarianceKind::diagonal}) {
    const MixtureFit found =
        fit(x, {.components = 2, .rank = kind == CovarianceKind::lowrank ? 2 : 0, .covariance = kind, .variance_floor = 1e-3});
    const double floor = 1e-3 * x.var(0, false).mean().item<double>();
    EXPECT_NEAR(found.stats.eigenvalues.min().item<double>(), floor, 1e-6 * floor) << to_string(kind);
    if (kind == CovarianceKind::lowrank) {
      EXPECT_NEAR(found.stats.tail.min().item<double>(), floor, 1e-6 * floor);
    }
    EXPECT_NEAR(found.stats.weights.max().item<double>(), 0.5, 1e-6);
  }
}

TEST(FitMixture, SplitsTheLargestComponentForOneThatHasLostItsPoints) {
  const Tensor x = torch::eye(3, torch::kFloat64).repeat({40, 1});  // three distinct points for five components
  const MixtureFit found = fit(x, {.components = 5, .rank = 1, .max_iterations = 10});
  EXPECT_GT(found.splits, 0);
  EXPECT_TRUE(found.stats.mean.isfinite().all().item<bool>() && found.stats.basis.isfinite().all().item<bool>());
  EXPECT_NEAR(found.stats.weights.sum().item<double>(), 1, 1e-9);
  EXPECT_TRUE((found.stats.eigenvalues.diff() <= 0).all().item<bool>());
  EXPECT_TRUE(std::isfinite(found.log_likelihood));
}

TEST(FitMixture, TakesAsManyComponentsAsPointsAndFewerPointsThanTheRank) {
  const Tensor x = random_normal({12, 30}, 9);
  for (const std::int64_t components : {2, 12}) {
    const MixtureFit found = fit(x, {.components = components, .rank = 20, .max_iterations = 5});
    EXPECT_TRUE(std::isfinite(found.log_likelihood)) << components;
    for (std::int64_t k = 0; k < components; ++k) {
      const Tensor u = found.stats.basis[k];
      EXPECT_LT(largest_difference(u.t().mm(u), torch::eye(20, torch::kFloat64)), 1e-10);
    }
  }
}

TEST(FitMixture, FarFromTheOriginLosesNoDigits) {
  const Tensor x = (points_of(random_mixture(6, 3), 600, 10) * 64).round() / 64;  // exact in float32 near 1000 as well
  const MixtureFit near = fit(x, {.components = 3, .rank = 2}), far = fit(x + 1024, {.components = 3, .rank = 2});
  EXPECT_NEAR(near.log_likelihood, far.log_likelihood, 1e-5);
  EXPECT_LT(largest_difference(near.stats.mean + 1024, far.stats.mean), 1e-3);
}

TEST(FitMixturePerClass, FitsEachClassByItself) {
  const Tensor x = points_of(random_mixture(6, 3), 900, 11);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < x.size(0); ++i) labels.push_back(i % 3 == 0 ? 7 : 2);
  PointStream stream(x, false, labels);
  const MixtureFit found = fit_mixture_per_class(stream, {.components = 2, .rank = 3, .seed = 5, .memory = kPlenty});
  EXPECT_EQ(found.stats.classes, (std::vector<std::int64_t>{2, 2, 7, 7}));
  EXPECT_NEAR(found.stats.weights.narrow(0, 2, 2).sum().item<double>(), 1.0 / 3, 1e-9);
  const Tensor sevens = x.index_select(0, torch::arange(0, x.size(0), 3));
  const MixtureFit alone = fit(sevens, {.components = 2, .rank = 3, .seed = 5});
  EXPECT_NEAR(dense_log_likelihood(found.stats.of_class(7), sevens), alone.log_likelihood, 1e-3);
  EXPECT_NEAR(found.log_likelihood, dense_log_likelihood(found.stats, x), 1e-4);
}

TEST(FitMixturePerClass, RefusesDataWithoutLabelsAndClassesWithTooFewPoints) {
  const Tensor x = random_normal({20, 4}, 12);
  PointStream none(x), few(x, false, [] {
    std::vector<std::int64_t> labels(20, 0);
    labels[3] = 1;
    return labels;
  }());
  EXPECT_EQ(message_of<InvalidArgument>([&] { fit_mixture_per_class(none, {}); }),
            "[fit_mixture_per_class] expected data with labels, got none");
  EXPECT_THAT(message_of<InvalidArgument>([&] { fit_mixture_per_class(few, {.components = 2}); }),
              HasSubstr("at least 2 points of class 1, got 1"));
}

TEST(ChooseMixture, FindsHowManyComponentsThereAre) {
  const Tensor x = points_of(random_mixture(8, 4, {.rank = 2}, 8), 2000, 13);
  PointStream stream(x);
  const MixtureChoice choice = choose_mixture(stream, {.rank = 2, .memory = kPlenty});
  EXPECT_EQ(choice.fit.stats.components(), 4);
  EXPECT_EQ(choice.fit.stats.count, x.size(0));
  double best = -INFINITY;
  for (const MixtureTrial& t : choice.trials) {
    EXPECT_EQ(t.rank, 2);
    best = std::max(best, t.held_out_log_likelihood);
  }
  EXPECT_GE(choice.fit.held_out_log_likelihood, best - 0.02);
  EXPECT_GE(choice.trials.size(), 3U);
}

TEST(ChooseMixture, FindsTheRankAsWell) {
  GaussianStats s = random_gaussian(40, {.rank = 4});
  s.tail = 1e-3;
  const Tensor x = points_of(mixture_of(s), 1000, 14);
  PointStream stream(x);
  const MixtureChoice choice = choose_mixture(stream, {.memory = kPlenty});
  EXPECT_EQ(choice.fit.stats.components(), 1);
  EXPECT_EQ(choice.fit.stats.rank(), 4);
}

TEST(FitMixture, ReportsEveryPassAndMayBeStopped) {
  const Tensor x = random_normal({300, 4}, 15);
  std::int64_t passes = 0;
  const MixtureFit found = fit(x, {.components = 3, .rank = 2, .on_progress = [&](std::int64_t pass, std::int64_t) { passes = pass; }});
  EXPECT_EQ(passes, found.passes);
  EXPECT_THROW(fit(x, {.components = 3, .on_progress = [](std::int64_t, std::int64_t) { throw std::runtime_error("stop"); }}),
               std::runtime_error);
}

TEST(FitMixture, RefusesOptionsOutOfRangeAndDataThatChange) {
  const Tensor x = random_normal({50, 20}, 16);
  const auto refusal = [&](const MixtureOptions& options) { return message_of<InvalidArgument>([&] { fit(x, options); }); };
  EXPECT_EQ(refusal({.components = 51}), "[fit_mixture] expected 1 to N = 50 components, got 51");
  EXPECT_THAT(refusal({.components = 0}), HasSubstr("components, got 0"));
  EXPECT_THAT(refusal({.rank = 21}), HasSubstr("a rank from 1 to D = 20, got 21"));
  EXPECT_THAT(refusal({.rank = 5, .covariance = CovarianceKind::full}), HasSubstr("no rank below D = 20 for full covariances, got 5"));
  EXPECT_THAT(refusal({.max_iterations = 0}), HasSubstr("at least 1 iteration, got 0"));
  EXPECT_THAT(refusal({.tolerance = -1}), HasSubstr("a tolerance >= 0, got -1"));
  EXPECT_THAT(refusal({.variance_floor = 0}), HasSubstr("a variance floor in (0, 1), got 0"));
  EXPECT_THAT(refusal({.held_out = 0.6}), HasSubstr("a held-out share in [0, 0.5], got 0.6"));
  EXPECT_THAT(refusal({.held_out = 0.01}), HasSubstr("at least 100 points to hold one of them out, got 50"));
  PointStream stream(x);
  EXPECT_THAT(message_of<InvalidArgument>([&] { choose_mixture(stream, {.covariance = CovarianceKind::subspaces}); }),
              HasSubstr("expected covariances with a density, got subspaces"));
  PointStream shrinking(x);
  shrinking.end = 50;
  shrinking.shrinks = 1;
  EXPECT_THAT(message_of<NumericalError>([&] { fit_mixture(shrinking, {.components = 2, .rank = 2}); }),
              HasSubstr("expected 50 images in every pass, got 49"));
  EXPECT_THAT(message_of<NumericalError>([&] { fit(x * 1e30, {.components = 2, .rank = 2}); }),
              HasSubstr("expected a total variance below 1e+30"));
}

}  // namespace
}  // namespace headstart
