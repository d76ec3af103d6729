#pragma once
// The part of a denoiser that is linear in x, for solvers that leave it to a formula and integrate only what differs from it.

#include <torch/types.h>

#include "headstart/flow/gaussian_flow.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// A denoiser D_G that shrinks each mode by lambda / (lambda + sigma^2): that of a Gaussian. In its modes' coordinates z, with v = ln(from
/// / sigma) running from 0 to h over a step and any other denoiser's residual R = D - D_G, the state obeys the variation of constants z_b =
/// kept(from, to) z_a + integral of kept(sigma(v), to) R(v) dv.
class LinearPart {
 public:
  virtual ~LinearPart() = default;

  /// A state, or a denoised estimate, in coordinates of the modes: [B, D] -> [B, M] float64.
  virtual torch::Tensor to_modes(const torch::Tensor& x) const = 0;

  /// Back again.
  virtual torch::Tensor from_modes(const torch::Tensor& z) const = 0;

  /// lambda of each coordinate: [M], or [] where all have the same. float64
  virtual torch::Tensor variances() const = 0;
};

/// A Gaussian's: U^T (x - mean), and where its rank is cut the rest of x - mean too, each coordinate of which has the tail's variance.
/// A row's results depend on that row alone. Cost of either direction 2 B D R flops, twice that to a cut basis.
class GaussianPart : public LinearPart {
 public:
  explicit GaussianPart(GaussianStats stats);
  torch::Tensor to_modes(const torch::Tensor& x) const override;
  torch::Tensor from_modes(const torch::Tensor& z) const override;
  torch::Tensor variances() const override { return variances_; }

 private:
  GaussianStats stats_;
  torch::Tensor variances_;
};

/// That of an isotropic Gaussian at 0. Without variance D_G = 0, and the variation of constants is DPM-Solver++'s; with kBoundlessVariance
/// D_G = x, whose flow stands still, and it is the plain integral of the slope.
class IsotropicPart : public LinearPart {
 public:
  explicit IsotropicPart(double variance) : variance_(torch::scalar_tensor(variance, torch::kFloat64)) {}
  torch::Tensor to_modes(const torch::Tensor& x) const override { return x; }
  torch::Tensor from_modes(const torch::Tensor& z) const override { return z; }
  torch::Tensor variances() const override { return variance_; }

 private:
  torch::Tensor variance_;
};

/// Beyond what float64 can tell from it, however large sigma.
inline constexpr double kBoundlessVariance = 1e40;

/// All of the shape of `variances`, float64.
///
/// lambda / (lambda + sigma^2): what the linear part's denoised estimate keeps of each mode.
torch::Tensor shrinkage(const torch::Tensor& variances, double sigma);

/// sqrt((lambda + to^2) / (lambda + from^2)): what its flow keeps of each mode.
torch::Tensor kept(const torch::Tensor& variances, const SigmaStep& step);

/// The integral over the step of kept(sigma(v), to) (v/h)^power dv, by 16 points of Gauss and Legendre: what is left at its end of a
/// residual that grows like that power. step.to > 0
torch::Tensor response(const torch::Tensor& variances, const SigmaStep& step, std::size_t power);

}  // namespace headstart
