#pragma once
// A fitted Gaussian: what every closed form is computed from, and its file.

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "headstart/data/image_shape.h"

namespace headstart {

/// N(mean, U diag(eigenvalues) U^T + tail (I - U U^T)), all float64. tail = 0 is the published low-rank form (arXiv 2412.09726); the
/// default fit's tail is the maximum-likelihood one (Tipping & Bishop 1999).
struct GaussianStats {
  torch::Tensor mean;         ///< [D]
  torch::Tensor basis;        ///< [D, R], orthonormal columns U
  torch::Tensor eigenvalues;  ///< [R], descending, >= 0
  double tail = 0;            ///< variance of each of the D - R other directions
  ImageShape shape{};
  std::int64_t count = 0;                 ///< data points behind it; 0 where unknown
  double range_low = -1, range_high = 1;  ///< of the data, in data units
  std::string data_sha256{};              ///< of the float32 values in stream order; empty where unknown
  std::string network_sha256{};           ///< of the network's file, where it was read off one instead

  std::int64_t dim() const { return mean.size(0); }
  std::int64_t rank() const { return eigenvalues.size(0); }
  /// The most negative eigenvalue that the fit met and set to zero: rounding. Not in the file.
  double clipped = 0;

  /// Total variance: sum of eigenvalues + (D - R) tail.
  double trace() const;
  /// Share of the total variance in the R listed directions.
  double energy() const;
  /// A copy in another dtype or on another device.
  GaussianStats to(const torch::TensorOptions& options) const;
};

/// How a covariance is cut to a rank and what becomes of the rest.
struct CutOptions {
  std::int64_t rank = 0;  ///< 0: all of D
  double energy = 0;      ///< in (0, 1]: the smallest rank whose share of the trace reaches it; 0: not used
  bool mean_tail = true;  ///< true: tail = mean of the eigenvalues cut off; false: 0
};

/// Eigenbasis of a covariance, cut. Each eigenvector's largest component is positive, so that equal data give equal files.
/// @param mean [D], covariance [D, D], float64
/// @throws InvalidArgument where rank is outside [1, D] or energy outside (0, 1]; NumericalError where the covariance is not finite, or is
///         negative beyond rounding
/// Cost O(D^3).
GaussianStats gaussian_from_moments(const torch::Tensor& mean, const torch::Tensor& covariance, const CutOptions& cut = {});

/// The same Gaussian with fewer listed directions; the tail takes up the mean of what is cut, so the trace stays.
/// @throws InvalidArgument unless 1 <= rank <= stats.rank()
GaussianStats cut_to_rank(const GaussianStats& stats, std::int64_t rank);

/// Writes `*.safetensors` (tensors mean, basis, eigenvalues, tail). @throws DataError where it cannot be written
void save_stats(const std::string& path, const GaussianStats& stats);

/// @throws DataError where the file is missing, no statistics file, or inconsistent (the basis not orthonormal, for one)
GaussianStats load_stats(const std::string& path);

}  // namespace headstart
