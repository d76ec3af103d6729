#include "headstart/moments/kmeans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <stdexcept>

#include "../core/with_threads.h"
#include "../support/gaussians.h"
#include "../support/point_stream.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr double kAllInMemory = 1e9;

/// `each` points around each of `centres` [K, D], one cluster after the other.
Tensor clusters_around(const Tensor& centres, std::int64_t each, double width, std::uint64_t seed) {
  const std::int64_t count = centres.size(0) * each;
  return centres.repeat_interleave(each, 0) + width * random_normal({count, centres.size(1)}, seed);
}

KMeans run(const Tensor& points, const KMeansOptions& options) {
  PointStream stream(points);
  return fit_kmeans(stream, options);
}

/// For each row of `a`, the distance to the nearest row of `b`; the largest of them.
double largest_distance_to_nearest(const Tensor& a, const Tensor& b) { return std::get<0>(torch::cdist(a, b).min(1)).max().item<double>(); }

TEST(KMeans, FindsClustersThatAreFarApart) {
  const Tensor centres = 20 * random_normal({7, 5}, 1), x = clusters_around(centres, 100, 0.5, 2) + 100;
  for (const std::int64_t mini_batch : {0, 50}) {
    const KMeans found = run(x, {.components = 7, .seed = 3, .mini_batch = mini_batch, .memory = kAllInMemory});
    EXPECT_LT(largest_distance_to_nearest(centres + 100, found.centres), 0.5) << mini_batch;
    EXPECT_TRUE((found.counts == 100).all().item<bool>()) << mini_batch;
    EXPECT_NEAR(found.inertia, 5 * 0.25, 0.15) << mini_batch;  // the sum of 5 variances, of 700 points
  }
}

TEST(KMeans, NeverRaisesTheInertiaInAPass) {
  const Tensor x = random_normal({800, 6}, 4);
  double before = std::numeric_limits<double>::infinity();
  for (std::int64_t passes = 1; passes <= 12; ++passes) {
    const KMeans found = run(x, {.components = 10, .max_iterations = passes, .tolerance = 0, .memory = kAllInMemory});
    EXPECT_LE(found.inertia, before * (1 + 1e-6)) << passes;
    before = found.inertia;
  }
}

TEST(KMeans, CentresAreTheMeansOfTheirPointsAndTheInertiaTheirDistance) {
  const Tensor x = random_normal({400, 4}, 5).to(torch::kFloat32).to(torch::kFloat64);
  const KMeans found = run(x, {.components = 5, .max_iterations = 200, .tolerance = 0, .memory = kAllInMemory});
  const auto [distance, index] = torch::cdist(x, found.centres).min(1);
  EXPECT_NEAR(found.inertia, distance.square().mean().item<double>(), 1e-4);
  for (std::int64_t k = 0; k < 5; ++k)
    EXPECT_LT(largest_difference(x.index_select(0, (index == k).nonzero().flatten()).mean(0), found.centres[k]), 1e-5) << k;
}

TEST(KMeans, IsTheSameStreamedOrHeldAndOnAnyNumberOfThreads) {
  const Tensor x = random_normal({3000, 40}, 6);
  const auto fit = [&](double memory, int threads, std::uint64_t seed) {
    const WithThreads with(threads);
    return run(x, {.components = 8, .seed = seed, .memory = memory}).centres;
  };
  const Tensor first = fit(kAllInMemory, 1, 1);
  EXPECT_TRUE(torch::equal(first, fit(0, 1, 1)));
  EXPECT_TRUE(torch::equal(first, fit(kAllInMemory, 2, 1)));
  EXPECT_FALSE(torch::equal(first, fit(kAllInMemory, 1, 2)));
}

TEST(KMeans, ReadsTheStreamOnceWhereItIsHeld) {
  PointStream held(random_normal({200, 3}, 1)), streamed(random_normal({200, 3}, 1));
  fit_kmeans(held, {.components = 3, .memory = kAllInMemory});
  EXPECT_EQ(held.rewinds, 1);
  const KMeans found = fit_kmeans(streamed, {.components = 3});
  EXPECT_EQ(streamed.rewinds, found.iterations + 2);  // the mean, the sample
}

TEST(KMeans, MovesACentreThatHasLostItsPoints) {
  // Three distinct points: the fourth centre starts on one of them, and has no points.
  const Tensor x = torch::eye(3, torch::kFloat64).repeat({50, 1});
  const KMeans found = run(x, {.components = 4, .max_iterations = 5, .memory = kAllInMemory});
  EXPECT_GT(found.reseeded, 0);
  EXPECT_LT(found.inertia, 1e-10);
  EXPECT_TRUE(found.centres.isfinite().all().item<bool>());
  EXPECT_EQ(found.counts.sum().item<std::int64_t>(), 150);
}

TEST(KMeans, GivesEveryPointACentreOfItsOwnWhereThereAreAsMany) {
  const Tensor x = random_normal({20, 6}, 7);
  const KMeans found = run(x, {.components = 20, .memory = kAllInMemory});
  EXPECT_LT(found.inertia, 1e-6);  // float32
  EXPECT_LT(largest_distance_to_nearest(x, found.centres), 1e-5);
}

TEST(KMeans, RefusesOptionsOutOfRangeAndMayBeStopped) {
  const Tensor x = random_normal({20, 3}, 8);
  const auto refusal = [&](const KMeansOptions& options) { return message_of<InvalidArgument>([&] { run(x, options); }); };
  EXPECT_THAT(refusal({.components = 21}), HasSubstr("[fit_kmeans] expected 1 to N = 20 components, got 21"));
  EXPECT_THAT(refusal({.components = 0}), HasSubstr("got 0"));
  EXPECT_THAT(refusal({.components = 2, .max_iterations = 0}), HasSubstr("at least 1 iteration, got 0"));
  EXPECT_THAT(refusal({.components = 2, .tolerance = -1}), HasSubstr("tolerance >= 0, got -1"));
  EXPECT_THAT(refusal({.components = 2, .mini_batch = -1}), HasSubstr("mini-batch >= 0, got -1"));
  EXPECT_THROW(run(x, {.components = 2, .on_progress = [](std::int64_t, std::int64_t) { throw std::runtime_error("stop"); }}),
               std::runtime_error);
}

}  // namespace
}  // namespace headstart
