#pragma once
// Frechet distance between two sets of feature vectors.

#include <torch/types.h>

#include <cstdint>

namespace headstart {

/// Mean and covariance (divisor N - 1) of feature vectors: all that a Frechet distance needs to know of a set.
struct FeatureMoments {
  torch::Tensor mean;        ///< [F] float64
  torch::Tensor covariance;  ///< [F, F] float64
  std::int64_t count = 0;
};

/// @param features [N, F], N >= 2. @throws InvalidArgument on another shape
FeatureMoments feature_moments(const torch::Tensor& features);

struct FrechetDistance {
  double value = 0;
  double mean_term = 0;        ///< |m1 - m2|^2
  double covariance_term = 0;  ///< tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)
  double clipped = 0;          ///< most negative eigenvalue met in either root, set to zero there: rounding, unless it is large
};

/// |m1 - m2|^2 + tr(S1 + S2) - 2 tr((S1^1/2 S2 S1^1/2)^1/2), by two symmetric eigendecompositions in float64.
/// @throws InvalidArgument on different widths; NumericalError on non-finite moments
/// Cost O(F^3). Source: Heusel et al., arXiv 1706.08500.
FrechetDistance frechet_distance(const FeatureMoments& a, const FeatureMoments& b);

struct BootstrapOptions {
  std::int64_t resamples = 100;
  std::int64_t seed = 0;
};

struct Interval {
  double low = 0, high = 0;
};

/// The distance -/+ 1.96 standard deviations over resamples of the samples (the reference is taken as exact).
Interval frechet_interval(const torch::Tensor& features, const FeatureMoments& reference, const BootstrapOptions& options = {});

}  // namespace headstart
