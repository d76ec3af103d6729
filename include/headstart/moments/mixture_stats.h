#pragma once
// A fitted mixture of Gaussians and its file.

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "headstart/data/image_shape.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// sum_k weights_k N(mean_k, U_k diag(eigenvalues_k) U_k^T + tail_k (I - U_k U_k^T)), all float64, every component of the same rank.
/// Source: mixtures of probabilistic principal components, Tipping & Bishop 1999; tail = 0 is the published low-rank form.
struct MixtureStats {
  torch::Tensor weights;                ///< [K], >= 0, sum 1
  torch::Tensor mean;                   ///< [K, D]
  torch::Tensor basis;                  ///< [K, D, R], orthonormal columns U_k
  torch::Tensor eigenvalues;            ///< [K, R], descending, >= 0
  torch::Tensor tail;                   ///< [K], variance of each of the D - R other directions
  std::vector<std::int64_t> classes{};  ///< label of each component where the mixture was fitted class by class, else empty
  ImageShape shape{};
  std::int64_t count = 0;                 ///< data points behind it; 0 where unknown
  double range_low = -1, range_high = 1;  ///< of the data, in data units
  std::string data_sha256{};              ///< of the float32 values in stream order; empty where unknown

  std::int64_t components() const { return weights.size(0); }
  std::int64_t dim() const { return mean.size(1); }
  std::int64_t rank() const { return eigenvalues.size(1); }

  /// Mean of the whole, [D].
  torch::Tensor overall_mean() const { return weights.unsqueeze(0).mm(mean).squeeze(0); }
  /// Total variance of the whole: that within the components and that of their means.
  double trace() const;
  /// Share of the total variance that is not in the tails.
  double energy() const;

  /// One component as a Gaussian.
  GaussianStats component(std::int64_t k) const;
  /// The components of one class, their weights scaled to sum 1.
  /// @throws InvalidArgument where no component has that label (lists the labels there are)
  MixtureStats of_class(std::int64_t label) const;
};

/// The mixture whose only component is this Gaussian.
MixtureStats mixture_of(const GaussianStats& stats);

/// All components of several mixtures, those of the i-th with `shares[i]` of the weight; what is said about the data is that of the first.
/// @throws InvalidArgument where there is none, or dimensions or ranks differ
MixtureStats joined(const std::vector<MixtureStats>& parts, const std::vector<double>& shares);

/// Writes `*.safetensors` (tensors weights, mean, basis, eigenvalues, tail). @throws DataError where it cannot be written
void save_mixture(const std::string& path, const MixtureStats& stats);

/// Reads either kind of statistics; one Gaussian comes as a mixture of one.
/// @throws DataError where the file is missing, no statistics file, or inconsistent
MixtureStats load_mixture(const std::string& path);

}  // namespace headstart
