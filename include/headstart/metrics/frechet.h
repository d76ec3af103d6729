#pragma once
// Frechet distance between two sets of feature vectors, and how much of it is chance.

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace headstart {

/// Mean and covariance (divisor N - 1) of feature vectors: all that a Frechet distance needs to know of a set.
struct FeatureMoments {
  torch::Tensor mean;        ///< [F] float64
  torch::Tensor covariance;  ///< [F, F] float64
  std::int64_t count = 0;    ///< 0: not known
};

/// @param features [N, F], N >= 2. @throws InvalidArgument on another shape
FeatureMoments feature_moments(const torch::Tensor& features);

/// How many eigenvalues of a covariance are more than rounding (F eps times the largest). At most N - 1, so fewer than F where N <= F: a
/// distance is defined all the same, but most of it is then missing variance. Cost O(F^3).
std::int64_t covariance_rank(const torch::Tensor& covariance);

/// A negative eigenvalue is rounding, of moments that may have been kept in float32, where it is smaller than this times the largest.
inline constexpr double kEigenvalueRounding = 1e-6;

struct FrechetDistance {
  double value = 0;
  double mean_term = 0;        ///< |m1 - m2|^2
  double covariance_term = 0;  ///< tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)
  double clipped = 0;          ///< most negative eigenvalue met in either root, set to zero there
};

/// |m1 - m2|^2 + tr(S1 + S2) - 2 tr((S1^1/2 S2 S1^1/2)^1/2), by two symmetric eigendecompositions in float64.
/// @throws InvalidArgument on different widths; NumericalError on moments that are not finite, and on an eigenvalue more negative than
///   rounding makes one
/// Cost O(F^3). Source: Heusel et al., arXiv 1706.08500.
FrechetDistance frechet_distance(const FeatureMoments& a, const FeatureMoments& b);

struct BootstrapOptions {
  std::int64_t resamples = 200;  ///< a standard deviation of B resamples is itself uncertain by 1 / sqrt(2 B)
  std::int64_t seed = 0;
  std::function<void(std::int64_t)> on_progress{};  ///< resamples so far; may throw to stop
};

/// Distances of resamples (N rows drawn with replacement) of a set to a reference that is taken as exact.
///
/// Resample i draws the same rows of every set of N, so the results for two sets are paired: where row n of both came from the same noise,
/// their difference, element by element, has the spread of the difference of the distances, most of which is common to both.
///
/// @param features  [N, F]
/// @return          [resamples] float64, the same whatever the number of threads
/// @throws InvalidArgument where resamples < 2, and as feature_moments and frechet_distance
/// Cost a resample 2 N F^2 + O(F^3) flops; the reference's root is taken once. Memory: features in float64. Source: Efron 1979.
torch::Tensor frechet_resamples(const torch::Tensor& features, const FeatureMoments& reference, const BootstrapOptions& options = {});

struct Interval {
  double low = 0, high = 0;
};

/// value -/+ 1.96 standard deviations of its resamples: about 95 % for the mean value over sets of N samples, bias included. Where a
/// distance is mostly bias, its deviation is overestimated by up to sqrt 3, so the interval is too wide rather than too narrow.
Interval interval_about(double value, const torch::Tensor& resamples);

/// How far the value lies above that of infinitely many samples, estimated as the resamples' mean less the value: to first order in 1/N
/// resampling adds the bias once more.
double estimated_bias(double value, const torch::Tensor& resamples);

}  // namespace headstart
