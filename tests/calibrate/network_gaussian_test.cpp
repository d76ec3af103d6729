#include "headstart/calibrate/network_gaussian.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "../support/gaussians.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kFitDim = 12;

TEST(NetworkGaussian, GivesAGaussianBackFromItsDenoiser) {
  for (const auto& cut : all_cuts()) {
    const GaussianStats s = random_gaussian(kFitDim, cut);
    const NetworkGaussianFit fit = fit_network_gaussian(GaussianDenoiser(s), {.rank = kFitDim});
    EXPECT_LT(largest_difference(fit.stats.mean, s.mean), 1e-8);
    EXPECT_LT(largest_difference(dense_covariance(fit.stats), dense_covariance(s)), 1e-8);
    EXPECT_LT(fit.asymmetry, 1e-8);
  }
}

TEST(NetworkGaussian, FindsTheLeadingDirectionsAndPutsTheRestIntoTheTail) {
  const std::int64_t dim = 40, rank = 4;
  const GaussianStats s = random_gaussian(dim, {.rank = rank});  // four directions and a tail of about 0.02
  const NetworkGaussianFit fit = fit_network_gaussian(GaussianDenoiser(s), {.rank = rank, .passes = 6});
  EXPECT_LT(largest_difference(fit.stats.basis, s.basis), 1e-4);
  EXPECT_LT(largest_difference(fit.stats.eigenvalues, s.eigenvalues), 1e-4);
  EXPECT_NEAR(fit.stats.tail, s.tail, 1e-6);
  const auto without = fit_network_gaussian(GaussianDenoiser(s), {.rank = rank, .mean_tail = false});
  EXPECT_EQ(without.stats.tail, 0);
}

TEST(NetworkGaussian, CountsWhatItSpends) {
  const GaussianDenoiser denoiser(random_gaussian(kFitDim));
  std::int64_t last = 0, all = 0;
  const auto fit = fit_network_gaussian(denoiser, {.rank = 2, .on_progress = [&](std::int64_t done, std::int64_t total) {
                                                     last = done;
                                                     all = total;
                                                   }});
  EXPECT_EQ(fit.nfe, 96 + 2 * 8 * (10 * 3 + 16));
  EXPECT_EQ(last, fit.nfe);
  EXPECT_EQ(all, fit.nfe);
}

TEST(NetworkGaussian, RefusesOptionsOutOfRange) {
  const GaussianDenoiser denoiser(random_gaussian(kFitDim));
  const auto refusal = [&](const NetworkGaussianOptions& options) {
    return message_of<InvalidArgument>([&] { fit_network_gaussian(denoiser, options); });
  };
  EXPECT_THAT(refusal({.rank = 13}), HasSubstr("a rank from 1 to D = 12, got 13"));
  EXPECT_THAT(refusal({.rank = 2, .sigma = 0}), HasSubstr("sigma > 0, got 0"));
  EXPECT_THAT(refusal({.rank = 2, .passes = 1}), HasSubstr("at least 2 passes, got 1"));
  EXPECT_THAT(refusal({.rank = 2, .points = 3}), HasSubstr("an even number of points, at least 2, got 3"));
}

TEST(NetworkGaussian, RefusesEstimatesThatAreNotFinite) {
  GaussianStats s = random_gaussian(kFitDim);
  s.mean[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message_of<NumericalError>([&] { fit_network_gaussian(GaussianDenoiser(s), {.rank = 2}); }),
              HasSubstr("finite denoised estimates"));
}

}  // namespace
}  // namespace headstart
