#pragma once
// The one contract: closed-form and trained models are interchangeable in solvers, comparisons and metrics.

#include <torch/types.h>

#include <cstdint>

namespace headstart {

/// Posterior mean E[x0 | x] of clean data given x = x0 + sigma * noise.
class Denoiser {
 public:
  virtual ~Denoiser() = default;

  /// @param x      [B, D] float32 or float64, flattened C, H, W, data units
  /// @param sigma  noise std in data units, > 0: a scalar or [B]
  /// @return       [B, D], dtype and device of x; no gradient flows through it
  /// @throws InvalidArgument on a shape, dtype or sigma that is none of these
  torch::Tensor denoise(const torch::Tensor& x, const torch::Tensor& sigma) const;
  torch::Tensor denoise(const torch::Tensor& x, double sigma) const;

  /// D, the length of a flattened data point.
  virtual std::int64_t dim() const = 0;

 private:
  /// Arguments are valid. sigma is [B, 1], dtype and device of x.
  virtual torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const = 0;
};

/// Score of the noised density at x: (D(x) - x) / sigma^2 (Tweedie's formula; arXiv 2206.00364, eq. 3).
torch::Tensor score(const Denoiser& denoiser, const torch::Tensor& x, const torch::Tensor& sigma);

/// @throws InvalidArgument unless x is a float32 or float64 [B, dim]; `function` starts the message
void require_points(const char* function, const torch::Tensor& x, std::int64_t dim);

}  // namespace headstart
