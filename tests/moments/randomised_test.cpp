#include "headstart/moments/randomised.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "../core/with_threads.h"
#include "../support/gaussians.h"
#include "../support/point_stream.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"
#include "headstart/moments/moments.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

/// Points whose covariance has exactly these eigenvalues (but for float32), in a random basis and far from the origin.
Tensor points_with_spectrum(const Tensor& eigenvalues, std::int64_t count, std::uint64_t seed = 1) {
  const std::int64_t dim = eigenvalues.size(0);
  Tensor x = random_normal({count, dim}, seed);
  x = std::get<0>(torch::linalg_qr(x - x.mean(0))) * std::sqrt(static_cast<double>(count));  // white, centred
  const Tensor basis = std::get<0>(torch::linalg_qr(random_normal({dim, dim}, seed + 1)));
  return (x * eigenvalues.sqrt()).mm(basis.t()) + 3 * random_normal({dim}, seed + 2);
}

Tensor power_law(std::int64_t dim, double exponent) { return torch::arange(1, dim + 1, torch::kFloat64).pow(-exponent); }

/// The exact fit of the same points.
GaussianStats dense(const Tensor& points, const CutOptions& cut = {}) {
  PointStream stream(points);
  return fit_gaussian(stream, {.cut = cut});
}

RandomisedFit randomised(const Tensor& points, const RandomisedOptions& options) {
  PointStream stream(points);
  return fit_gaussian_randomised(stream, options);
}

Tensor projector(const Tensor& basis) { return basis.mm(basis.t()); }

TEST(RandomisedFit, TakesPointsThatAreAllTheSame) {
  const Tensor point = random_normal({1, 40}, 3);
  const RandomisedFit fit = randomised(point.expand({30, -1}).contiguous(), {.rank = 5});
  EXPECT_LT(largest_difference(fit.stats.mean, point[0].to(torch::kFloat32).to(torch::kFloat64)), 1e-7);
  EXPECT_LT(fit.stats.eigenvalues.max().item<double>(), 1e-12);
  EXPECT_LT(largest_difference(fit.stats.basis.t().mm(fit.stats.basis), torch::eye(5, torch::kFloat64)), 1e-6);
}

TEST(RandomisedFit, EqualsTheDenseFitWhenAskedForAllDigits) {
  const Tensor x = points_with_spectrum(power_law(150, 2), 400);
  const RandomisedFit fit = randomised(x, {.rank = 12, .tolerance = 1e-9, .max_passes = 60});
  const GaussianStats exact = dense(x, {.rank = 12});
  EXPECT_LT(fit.residual, 1e-9);
  EXPECT_LT(largest_difference(fit.stats.mean, exact.mean), 1e-13);
  EXPECT_LT(largest_difference(fit.stats.eigenvalues, exact.eigenvalues), 1e-13);
  EXPECT_LT(largest_difference(fit.stats.basis, exact.basis), 1e-7);  // signs are settled in both
  EXPECT_NEAR(fit.stats.tail, exact.tail, 1e-14);
  EXPECT_NEAR(fit.trace, exact.trace(), 1e-12);
  EXPECT_EQ(fit.stats.count, 400);
  EXPECT_EQ(fit.stats.data_sha256, exact.data_sha256);
  EXPECT_EQ(fit.stats.range_low, exact.range_low);
  EXPECT_EQ(fit.stats.range_high, exact.range_high);
}

TEST(RandomisedFit, IsWithinTheToleranceInSinglePrecisionOnAKnownSpectrum) {
  for (const double exponent : {1.0, 1.5, 3.0}) {
    const Tensor spectrum = power_law(200, exponent);
    const RandomisedFit fit = randomised(points_with_spectrum(spectrum, 500), {.rank = 20});
    EXPECT_LT(fit.residual, 0.01) << exponent;
    EXPECT_LT(((fit.stats.eigenvalues - spectrum.narrow(0, 0, 20)) / spectrum.narrow(0, 0, 20)).abs().max().item<double>(), 1e-3)
        << exponent;
    EXPECT_LT(largest_difference(fit.stats.basis.t().mm(fit.stats.basis), torch::eye(20, torch::kFloat64)), 1e-13) << exponent;
    EXPECT_NEAR(fit.stats.trace(), spectrum.sum().item<double>(), 1e-5) << exponent;  // float32 data
  }
}

TEST(RandomisedFit, FindsTheSpaceOfRepeatedEigenvalues) {
  Tensor spectrum = torch::full({120}, 0.01, torch::kFloat64);
  spectrum.narrow(0, 0, 3).fill_(5);
  spectrum.narrow(0, 3, 4).fill_(2);
  const Tensor x = points_with_spectrum(spectrum, 300);
  const RandomisedFit fit = randomised(x, {.rank = 7, .tolerance = 1e-8, .max_passes = 40});
  const GaussianStats exact = dense(x, {.rank = 7});
  for (const std::int64_t rank : {3, 7})  // within a group no vector is better than another
    EXPECT_LT(largest_difference(projector(fit.stats.basis.narrow(1, 0, rank)), projector(exact.basis.narrow(1, 0, rank))), 1e-7) << rank;
  EXPECT_LT(largest_difference(fit.stats.eigenvalues, exact.eigenvalues), 1e-12);
  EXPECT_NEAR(fit.stats.tail, 0.01, 1e-6);
}

TEST(RandomisedFit, SaysHowFarItIsFromTheTruth) {
  const Tensor spectrum = power_law(150, 1), x = points_with_spectrum(spectrum, 400);
  const Tensor all = dense(x).eigenvalues;
  const double best = all.narrow(0, 0, 15).sum().item<double>(), trace = all.sum().item<double>();
  double last = 1;
  for (const std::int64_t passes : {2, 3, 5, 8}) {
    const RandomisedFit fit = randomised(x, {.rank = 15, .tolerance = 1e-12, .max_passes = passes});
    EXPECT_EQ(fit.passes, passes);
    const Tensor nearest = std::get<0>((fit.stats.eigenvalues.unsqueeze(1) - all.unsqueeze(0)).abs().min(1));
    EXPECT_TRUE((nearest <= fit.residuals + 1e-12).all().item<bool>()) << passes;
    const Tensor centred = x.to(torch::kFloat32).to(torch::kFloat64) - fit.stats.mean, u = fit.stats.basis;
    const Tensor direct = (centred.t().mm(centred.mm(u)) / 400 - u * fit.stats.eigenvalues).square().sum(0).sqrt();
    EXPECT_LT(largest_difference(fit.residuals, direct), 1e-8) << passes;
    EXPECT_NEAR(fit.residual, (direct / fit.stats.eigenvalues).max().item<double>(), 1e-6) << passes;
    const double missed = (best - fit.stats.eigenvalues.sum().item<double>()) / trace;
    EXPECT_GE(missed, -1e-12) << passes;
    EXPECT_LE(missed, fit.energy_error) << passes;
    EXPECT_LT(fit.energy_error, 0.7 * last) << passes;
    last = fit.energy_error;
  }
}

TEST(RandomisedFit, StopsAtTheToleranceOrWhenThePassesAreSpent) {
  const Tensor x = points_with_spectrum(power_law(150, 2), 400), noise = random_normal({300, 150}, 4);
  PointStream stream(x);
  const RandomisedFit fit = fit_gaussian_randomised(stream, {.rank = 10, .tolerance = 0.05});
  EXPECT_LE(fit.residual, 0.05);
  EXPECT_LT(fit.passes, 8);
  EXPECT_EQ(stream.rewinds, fit.passes);
  const RandomisedFit hopeless = randomised(noise, {.rank = 10, .tolerance = 1e-3, .max_passes = 3});  // no gap anywhere
  EXPECT_EQ(hopeless.passes, 3);
  EXPECT_GT(hopeless.residual, 1e-3);
}

TEST(RandomisedFit, GivesTheSameFromTheSameSeedOnAnyNumberOfThreads) {
  const Tensor x = points_with_spectrum(power_law(300, 1.5), 700);
  const auto fit = [&](std::uint64_t seed, int threads) {
    const WithThreads with(threads);
    return randomised(x, {.rank = 10, .tolerance = 0.1, .seed = seed}).stats;
  };
  const GaussianStats first = fit(3, 1), again = fit(3, 2), other = fit(4, 1);
  EXPECT_TRUE(torch::equal(first.basis, again.basis) && torch::equal(first.eigenvalues, again.eigenvalues));
  EXPECT_TRUE(torch::equal(first.mean, again.mean));
  EXPECT_EQ(first.tail, again.tail);
  EXPECT_FALSE(torch::equal(first.basis, other.basis));
}

/// libtorch sums more than 32,768 values to one number in as many parts as there are threads.
TEST(RandomisedFit, GivesTheSameOnAnyNumberOfThreadsInManyDimensions) {
  const Tensor x = random_normal({40, 100'003}, 6).abs();
  const auto fit = [&](int threads) {
    const WithThreads with(threads);
    return randomised(x, {.rank = 4, .columns = 8, .max_passes = 2}).stats;
  };
  const GaussianStats one = fit(1), two = fit(2);
  EXPECT_EQ(one.tail, two.tail);
  EXPECT_TRUE(torch::equal(one.basis, two.basis) && torch::equal(one.eigenvalues, two.eigenvalues));
}

TEST(RandomisedFit, HandlesFewerPointsThanDimensions) {
  const Tensor x = random_normal({12, 300}, 6);
  const RandomisedFit fit = randomised(x, {.rank = 11, .tolerance = 1e-6});
  const GaussianStats exact = dense(x, {.rank = 11});
  EXPECT_LT(fit.residual, 1e-6);
  EXPECT_LT(largest_difference(fit.stats.eigenvalues, exact.eigenvalues), 1e-11);
  EXPECT_LT(largest_difference(projector(fit.stats.basis), projector(exact.basis)), 1e-7);
  EXPECT_NEAR(fit.stats.tail, 0, 1e-12);  // nothing is left
  EXPECT_THAT(message_of<InvalidArgument>([&] { randomised(x, {.rank = 12}); }), HasSubstr("rank from 1 to min(D, N - 1) = 11, got 12"));
}

TEST(RandomisedFit, GivesOrthonormalVectorsForDataThatVaryInFewerDirections) {
  const Tensor flat = random_normal({60, 2}, 7).mm(random_normal({2, 80}, 8)), constant = torch::full({60, 80}, 0.5);
  for (const double tolerance : {0.01, 1e-6}) {
    const RandomisedFit fit = randomised(flat, {.rank = 5, .tolerance = tolerance});
    EXPECT_LT(largest_difference(fit.stats.basis.t().mm(fit.stats.basis), torch::eye(5, torch::kFloat64)), 1e-12);
    EXPECT_LT(largest_difference(fit.stats.eigenvalues.narrow(0, 0, 2), dense(flat).eigenvalues.narrow(0, 0, 2)), 1e-4);
    EXPECT_LT(fit.stats.eigenvalues[2].item<double>(), 1e-5);
    const RandomisedFit none = randomised(constant, {.rank = 5, .tolerance = tolerance});
    EXPECT_LT(largest_difference(none.stats.basis.t().mm(none.stats.basis), torch::eye(5, torch::kFloat64)), 1e-12);
    EXPECT_EQ(none.stats.eigenvalues.abs().max().item<double>(), 0);
    EXPECT_EQ(none.stats.tail, 0);
    EXPECT_EQ(none.residual, 0);
  }
}

TEST(RandomisedFit, ReadsPicturesAndStopsAtTheLimit) {
  const Tensor pixels = (random_normal({90, 3}, 9).mm(random_normal({3, 64}, 10)) * 40 + 128).clamp(0, 255).round() / 127.5 - 1;
  PointStream stream(pixels, true);
  const RandomisedFit fit = fit_gaussian_randomised(stream, {.rank = 4, .mean_tail = false, .limit = 50});
  const GaussianStats exact = dense(pixels.narrow(0, 0, 50), {.rank = 4});
  EXPECT_EQ(fit.stats.count, 50);
  EXPECT_EQ(fit.stats.range_low, -1);
  EXPECT_EQ(fit.stats.range_high, 1);
  EXPECT_EQ(fit.stats.tail, 0);
  EXPECT_EQ(fit.stats.data_sha256, exact.data_sha256);
  EXPECT_LT(((fit.stats.eigenvalues - exact.eigenvalues) / exact.eigenvalues).abs().max().item<double>(), 1e-3);
}

TEST(RandomisedFit, ReportsEveryPassAndMayBeStopped) {
  const Tensor x = points_with_spectrum(power_law(100, 2), 200);
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  const RandomisedFit fit =
      randomised(x, {.rank = 5, .on_progress = [&](std::int64_t pass, std::int64_t done) { seen.emplace_back(pass, done); }});
  EXPECT_EQ(static_cast<std::int64_t>(seen.size()), fit.passes);  // one batch each
  EXPECT_EQ(seen.back(), (std::pair<std::int64_t, std::int64_t>(fit.passes, 200)));
  EXPECT_THROW(randomised(x, {.rank = 5, .on_progress = [](std::int64_t, std::int64_t) { throw std::runtime_error("stop"); }}),
               std::runtime_error);
}

TEST(RandomisedFit, RefusesOptionsOutOfRangeAndDataThatChangeOrOverflow) {
  const Tensor x = random_normal({50, 20}, 11);
  const auto refusal = [&](const RandomisedOptions& options) { return message_of<InvalidArgument>([&] { randomised(x, options); }); };
  EXPECT_THAT(refusal({.rank = 0}), HasSubstr("rank from 1 to min(D, N - 1) = 20, got 0"));
  EXPECT_THAT(refusal({.rank = 21}), HasSubstr("got 21"));
  EXPECT_THAT(refusal({.rank = 5, .columns = 4}), HasSubstr("columns from 5 to 20, got 4"));
  EXPECT_THAT(refusal({.rank = 5, .tolerance = 0}), HasSubstr("tolerance > 0, got 0"));
  EXPECT_THAT(refusal({.rank = 5, .max_passes = 1}), HasSubstr("at least 2 passes, got 1"));
  EXPECT_THAT(message_of<NumericalError>([&] {
                PointStream stream(x);
                stream.end = 50;
                stream.shrinks = 1;
                fit_gaussian_randomised(stream, {.rank = 5, .columns = 5});
              }),
              HasSubstr("expected 50 images in every pass, got 49"));
  EXPECT_THAT(message_of<NumericalError>([&] { randomised(x * 1e30, {.rank = 5}); }), HasSubstr("expected a finite covariance"));
}

}  // namespace
}  // namespace headstart
