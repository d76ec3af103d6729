#pragma once
// The part of a denoiser that is linear in x, for solvers that leave it to a formula and integrate only what differs from it.

#include <torch/types.h>

#include <utility>

#include "headstart/denoise/gaussian.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// A denoiser whose probability flow has a formula.
class LinearPart {
 public:
  virtual ~LinearPart() = default;

  /// Its denoised estimate. @param x  [B, D] float64
  virtual torch::Tensor denoise(const torch::Tensor& x, double sigma) const = 0;

  /// Its flow from step.from to step.to. @param x  [B, D] float64
  virtual torch::Tensor flow(const torch::Tensor& x, const SigmaStep& step) const = 0;

  /// What a residual R that stays the same over the step adds to the state: per mode, dy/du = -g y + R with u = -ln sigma and the rate g of
  /// the step's start. @param residual  [B, D] float64, the denoiser's estimate minus this one's
  virtual torch::Tensor response(const torch::Tensor& residual, const SigmaStep& step) const = 0;
};

/// A Gaussian's: g = sigma^2 / (lambda + sigma^2), and the response (1 - exp(-g h)) / g for h = ln(from / to). Each row's results depend on
/// that row alone. Cost of each call 4 B D R flops.
class GaussianPart : public LinearPart {
 public:
  explicit GaussianPart(GaussianStats stats) : gaussian_(std::move(stats)) {}
  torch::Tensor denoise(const torch::Tensor& x, double sigma) const override;
  torch::Tensor flow(const torch::Tensor& x, const SigmaStep& step) const override;
  torch::Tensor response(const torch::Tensor& residual, const SigmaStep& step) const override;

 private:
  GaussianDenoiser gaussian_;
};

}  // namespace headstart
