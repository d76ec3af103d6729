#pragma once
// A mixture laid out for products with many points at once: what its density, its posterior mean and its fit are computed from.

#include <torch/types.h>

#include <cstdint>

#include "headstart/moments/mixture_stats.h"

namespace headstart {

/// The mixture of a MixtureStats, convolved with noise N(0, variance I), at points in one dtype.
///
/// All bases are rows of one matrix, so that the coordinates of all points in all components are one matrix product. Everything is computed
/// about the mixture's overall mean, and squared distances and log densities in float64: |x - m|^2 minus the part inside a basis would
/// lose its digits otherwise. Nothing of size B K D is ever formed. Memory: K R D values of the dtype.
class PackedMixture {
 public:
  PackedMixture(const MixtureStats& stats, torch::ScalarType dtype);

  std::int64_t components() const { return mean_.size(0); }
  std::int64_t dim() const { return mean_.size(1); }
  std::int64_t rank() const { return eigenvalues_.size(1); }

  /// Where points lie in each component.
  struct Projection {
    torch::Tensor centred;      ///< [B, D] float64, x - overall mean
    torch::Tensor coordinates;  ///< [B, K, R] of the mixture's dtype, U_k^T (x - mean_k)
    torch::Tensor squares;      ///< [B, K] float64, |x - mean_k|^2
  };
  /// @param x  [B, D], any floating dtype
  /// Cost 2 B D K R flops.
  Projection project(const torch::Tensor& x) const;

  /// log weights_k + log N(x; mean_k, Sigma_k + variance I), [B, K] float64.
  /// @param variance  [B, 1] or [1, 1] float64, >= 0; infinities and NaN come out where Sigma_k + variance I is singular
  torch::Tensor log_joint(const Projection& p, const torch::Tensor& variance) const;

  /// |x - mean_k|^2 outside the span of each basis, [B, K] float64.
  torch::Tensor residuals(const Projection& p) const;

  /// sum_k w_k E[x0 | x, component k], [B, D] float64, for x = x0 + noise.
  ///
  /// A component whose weights are all zero is skipped, and the others are added in their order, so that a row's result does not depend on
  /// which components its neighbours need.
  /// @param p         is used up: its coordinates are overwritten
  /// @param weights   [B, K] float64
  /// @param variance  [B, 1] or [1, 1] float64, > 0
  /// Cost 2 B D R flops for each component that is not skipped.
  torch::Tensor posterior_mean(const Projection& p, const torch::Tensor& weights, const torch::Tensor& variance) const;

 private:
  torch::Tensor shift_;                             // [D] float64, the overall mean
  torch::Tensor log_weights_, eigenvalues_, tail_;  // [K], [K, R], [K] float64
  torch::Tensor mean_, mean_squares_;               // [K, D], [K] float64, about the shift
  torch::Tensor stack_, mean_coordinates_;          // [K R, D], [K R]: U_k^T as rows, U_k^T mean_k
};

/// log sum_k exp(log_joint), [B] float64.
torch::Tensor log_density(const torch::Tensor& log_joint);

/// Responsibilities: the softmax over components, [B, K] float64. Those below `least` become zero; a row loses at most K least of its
/// weight, and the others are scaled to sum 1 again.
torch::Tensor responsibilities(const torch::Tensor& log_joint, double least);

}  // namespace headstart
