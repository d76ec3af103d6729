#pragma once
// The closed-form denoiser of a mixture of Gaussians, and its density.

#include <memory>
#include <mutex>
#include <optional>

#include "headstart/denoise/denoiser.h"
#include "headstart/moments/mixture_stats.h"
#include "headstart/moments/packed_mixture.h"

namespace headstart {

/// Posterior mean E[x0 | x] at noise level sigma under a mixture of low-rank Gaussians: sum_k w_k(x) E[x0 | x, k].
///
/// Components of a weight below 2^-26 / K (float64: 2^-55 / K) are left out and the rest scaled to sum 1: they share less than a quarter of
/// the dtype's rounding unit, so that D moves by less than that share of the largest distance between two components' denoised points.
/// With float32 points the matrix products are float32; the log weights are then right to about 1e-6 |x - mean|^2 / (tail + sigma^2).
///
/// Cost 2 B D K R flops, and 2 B D R for each component that some row needs. Memory for a call: some 128 (4 K R + 5 D) values a
/// thread, and the result. The first call with float32 points, and the first with float64, make a copy of the bases, which is kept.
/// Source: arXiv 2412.09726, the Gaussian mixture score; log weights by the matrix determinant and inversion lemmas.
class MixtureDenoiser : public Denoiser {
 public:
  explicit MixtureDenoiser(MixtureStats stats);
  std::int64_t dim() const override { return stats_.dim(); }
  const MixtureStats& stats() const { return stats_; }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override;
  struct Packed {
    std::once_flag made;
    std::optional<PackedMixture> mixture;
  };
  const PackedMixture& packed(torch::ScalarType dtype) const;
  MixtureStats stats_;
  std::shared_ptr<Packed> single_ = std::make_shared<Packed>(), double_ = std::make_shared<Packed>();
};

/// log sum_k weights_k N(x; mean_k, Sigma_k + sigma^2 I), in nats.
/// @param x      [B, D]
/// @param sigma  scalar or [B], >= 0; > 0 where an eigenvalue or a tail is 0
/// @return       [B], float64
/// @throws InvalidArgument on a shape mismatch, a negative sigma, or a singular covariance
/// Cost 2 B D K R flops.
torch::Tensor mixture_log_density(const MixtureStats& stats, const torch::Tensor& x, const torch::Tensor& sigma);

}  // namespace headstart
