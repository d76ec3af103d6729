#pragma once
// The part of a denoiser that is linear in x, for solvers that leave it to a formula and integrate only what differs from it.

#include <torch/types.h>

#include <utility>
#include <vector>

#include "headstart/denoise/gaussian.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// A denoiser whose probability flow has a formula. With u = -ln sigma and another denoiser's residual R = D - D_G, the state obeys
/// x_b = flow(x_a) + integral of carry(R(u), from sigma(u) to b) du: the variation of constants.
class LinearPart {
 public:
  virtual ~LinearPart() = default;

  /// D_G, its denoised estimate. @param x  [B, D] float64
  virtual torch::Tensor denoise(const torch::Tensor& x, double sigma) const = 0;

  /// Its flow from step.from to step.to. @param x  [B, D] float64
  virtual torch::Tensor flow(const torch::Tensor& x, const SigmaStep& step) const = 0;

  /// The same of a difference of two states: the flow without its mean. @param y  [B, D] float64
  virtual torch::Tensor carry(const torch::Tensor& y, const SigmaStep& step) const = 0;

  /// What the residual R = sum_p terms[p] (v/h)^p adds to the state over the step, v = ln(from / sigma) running from 0 to h = ln(from /
  /// to): the integral of carry(R, sigma to step.to) dv. @param terms  at least one, [B, D] float64 each. step.to > 0
  virtual torch::Tensor response(const std::vector<torch::Tensor>& terms, const SigmaStep& step) const = 0;
};

/// A Gaussian's. Each row's results depend on that row alone. Cost of each call 4 B D R flops, of response as much a term.
class GaussianPart : public LinearPart {
 public:
  explicit GaussianPart(GaussianStats stats) : gaussian_(std::move(stats)) {}
  torch::Tensor denoise(const torch::Tensor& x, double sigma) const override;
  torch::Tensor flow(const torch::Tensor& x, const SigmaStep& step) const override;
  torch::Tensor carry(const torch::Tensor& y, const SigmaStep& step) const override;
  torch::Tensor response(const std::vector<torch::Tensor>& terms, const SigmaStep& step) const override;

 private:
  GaussianDenoiser gaussian_;
};

/// That of a Gaussian without variance at 0: D_G = 0, which makes the variation of constants DPM-Solver++'s.
class PointPart : public LinearPart {
 public:
  torch::Tensor denoise(const torch::Tensor& x, double sigma) const override;
  torch::Tensor flow(const torch::Tensor& x, const SigmaStep& step) const override;
  torch::Tensor carry(const torch::Tensor& y, const SigmaStep& step) const override;
  torch::Tensor response(const std::vector<torch::Tensor>& terms, const SigmaStep& step) const override;
};

/// That of a Gaussian of boundless variance: D_G = x, whose flow stands still, which makes it the plain integral of the slope.
class FlatPart : public LinearPart {
 public:
  torch::Tensor denoise(const torch::Tensor& x, double sigma) const override;
  torch::Tensor flow(const torch::Tensor& x, const SigmaStep& step) const override;
  torch::Tensor carry(const torch::Tensor& y, const SigmaStep& step) const override;
  torch::Tensor response(const std::vector<torch::Tensor>& terms, const SigmaStep& step) const override;
};

/// A Gaussian's denoised estimate and flow with PointPart's response: every mode of the residual gets the weight 1 - to/from. Of first
/// order only.
class ScalarWeightPart : public GaussianPart {
 public:
  using GaussianPart::GaussianPart;
  torch::Tensor carry(const torch::Tensor& y, const SigmaStep& step) const override;
  torch::Tensor response(const std::vector<torch::Tensor>& terms, const SigmaStep& step) const override;
};

}  // namespace headstart
