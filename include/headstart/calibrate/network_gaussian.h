#pragma once
// The Gaussian of a model's data read off the model itself, for those who have no data.

#include <torch/types.h>

#include <cstdint>
#include <functional>

#include "headstart/denoise/denoiser.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

struct NetworkGaussianOptions {
  std::int64_t rank = 64;   ///< eigenpairs wanted, 1 to D
  double sigma = 40;        ///< level of the first passes, well above the data's own deviations; the last one is at half of it
  std::int64_t passes = 3;  ///< at least 2
  std::int64_t points = 8;  ///< to average the Jacobian over, even: each comes with its mirror image
  std::uint64_t seed = 0;
  bool mean_tail = true;  ///< true: the tail is the mean variance of what the rank leaves out; false: 0
  /// (evaluations so far, of all), each of one point; may throw to stop
  std::function<void(std::int64_t, std::int64_t)> on_progress{};
};

struct NetworkGaussianFit {
  GaussianStats stats;   ///< shape and range are the caller's to fill in
  std::int64_t nfe = 0;  ///< evaluations of one point each
  double asymmetry = 0;  ///< |M - M^T| / |M + M^T| of the last pass's Jacobian M: 0 for the denoiser of any density
};

/// For a Gaussian, D = mean + J (x - mean) with J = Sigma (Sigma + sigma^2)^-1 exactly; for any data that is what is left where sigma is
/// large. The mean is the fixed point of x -> E[D(x + sigma n)], the eigenvectors of J come by randomised subspace iteration with products
/// by central differences, and each eigenvalue of Sigma is sigma^2 j / (1 - j). The first passes average over mean + sigma n; the last one,
/// at sigma / 2, over where the fitted Gaussian's flow carries these points.
///
/// @throws InvalidArgument on options out of range; NumericalError where an estimate is not finite
/// Cost 96 + 2 points (L passes + 16) evaluations of one point for L = rank + max(8, rank / 8) columns. Source: arXiv 2412.09726 (the
/// Gaussian's denoiser); arXiv 0909.4061, algorithm 4.4.
NetworkGaussianFit fit_network_gaussian(const Denoiser& denoiser, const NetworkGaussianOptions& options = {});

}  // namespace headstart
