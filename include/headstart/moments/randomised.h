#pragma once
// The leading eigenpairs of a covariance that is too large to be held, from several passes over the data.

#include <torch/types.h>

#include <cstdint>
#include <functional>

#include "headstart/data/image_stream.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

struct RandomisedOptions {
  std::int64_t rank = 0;     ///< eigenpairs wanted, 1 to min(D, N - 1)
  std::int64_t columns = 0;  ///< of the subspace, rank to min(D, N - 1); 0: twice the rank, at least rank + 16
  double tolerance = 0.01;   ///< of the largest relative residual; below 1e-4 the products are float64 instead of float32
  std::int64_t max_passes = 16;
  std::uint64_t seed = 0;  ///< of the first subspace
  bool mean_tail = true;   ///< true: tail = (trace - sum of the eigenvalues) / (D - R); false: 0
  std::int64_t limit = 0;  ///< first images only; 0: all
  /// (pass from 1, images of this pass so far); may throw to stop
  std::function<void(std::int64_t, std::int64_t)> on_progress{};
};

struct RandomisedFit {
  GaussianStats stats;
  std::int64_t passes = 0;
  /// [R] |Sigma u - lambda u|, data units squared: within it of each listed eigenvalue lambda there is one of Sigma.
  torch::Tensor residuals;
  /// The largest residual relative to its eigenvalue; eigenvalues that are rounding beside the first one count as 1e-5 of it (float64:
  /// 1e-10).
  double residual = 0;
  /// At most this share of the trace is what the best R directions hold beyond the listed ones: the sum of the residuals, or all that
  /// the subspace leaves out, whichever is less. The first holds once the leading directions have been found, that is for a residual well
  /// below 1; from a random start a flat spectrum needs more than two passes for that.
  double energy_error = 0;
  double trace = 0;  ///< exact
};

/// Fits a Gaussian to the whole stream (or its first `limit` images, rewound before each pass) by randomised subspace iteration with a
/// Rayleigh-Ritz step in each pass, until the residual is below the tolerance or the passes are spent.
///
/// The mean is exact: data are shifted by a mean to start with, and the rest is subtracted from Sigma algebraically. The products with the
/// data are float32, as the data are, summed over batches in float64: their rounding is some 1e-7 of the largest eigenvalue. The
/// eigenvectors are orthonormal, and the eigenvalues their Rayleigh quotients, to float64. Results depend on the seed, not on the number of
/// threads.
///
/// @throws InvalidArgument on a rank, columns, tolerance or passes out of range; NumericalError where the covariance is not finite in
///         float32, or the stream has another number of images in a later pass; what the stream throws
/// Cost 4 N D L flops a pass for L columns, and O(D L^2). Memory: randomised_fit_bytes (fit_method.h). Source: Halko, Martinsson, Tropp,
/// arXiv 0909.4061, algorithm 4.4; orthonormalisation from Stathopoulos & Wu, SIAM J. Sci. Comput. 23 (2002).
RandomisedFit fit_gaussian_randomised(ImageStream& stream, const RandomisedOptions& options);

}  // namespace headstart
