#pragma once
// Closed-form denoisers of one Gaussian, and its density.

#include <memory>
#include <mutex>

#include "headstart/denoise/denoiser.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// Posterior mean E[x0 | x] at noise level sigma under N(mean, variance I).
/// variance = 0 is the "mean only" model. Source: arXiv 2412.09726, the isotropic score.
class IsotropicDenoiser : public Denoiser {
 public:
  /// @param mean      [D], any floating dtype
  /// @param variance  >= 0, data units squared
  /// @throws InvalidArgument on another shape or a negative variance
  IsotropicDenoiser(torch::Tensor mean, double variance);
  std::int64_t dim() const override { return mean_.size(0); }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override;
  torch::Tensor mean_;
  double variance_;
};

/// Posterior mean E[x0 | x] at noise level sigma under N(mean, U diag(eigenvalues) U^T + tail (I - U U^T)).
/// Cost 4 B D R flops. The first call with float32 points makes a float32 copy of the basis, which is kept.
/// Source: arXiv 2412.09726, low-rank form with the PPCA tail of Tipping & Bishop 1999.
class GaussianDenoiser : public Denoiser {
 public:
  explicit GaussianDenoiser(GaussianStats stats);
  std::int64_t dim() const override { return stats_.dim(); }
  const GaussianStats& stats() const { return stats_; }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override;
  struct Single {
    std::once_flag made;
    GaussianStats stats;
  };
  const GaussianStats& single() const;
  GaussianStats stats_;
  std::shared_ptr<Single> single_ = std::make_shared<Single>();  // the float32 copy, which samplers never need
};

/// log N(x; mean, Sigma + sigma^2 I), in nats.
/// @param x      [B, D]
/// @param sigma  scalar or [B], >= 0; > 0 where an eigenvalue or the tail is 0
/// @return       [B], dtype of x
/// @throws InvalidArgument on a shape mismatch, a negative sigma, or a singular covariance
torch::Tensor gaussian_log_density(const GaussianStats& stats, const torch::Tensor& x, const torch::Tensor& sigma);

}  // namespace headstart
