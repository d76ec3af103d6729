#pragma once
// A smoothed closed form: the empirical score generates points between the training points once it is averaged over small shifts.

#include <torch/types.h>

#include <cstdint>
#include <memory>

#include "headstart/denoise/denoiser.h"

namespace headstart {

struct SmoothedOptions {
  double kappa = 0;        ///< smoothing radius: std of the shifts, data units, >= 0
  std::int64_t draws = 8;  ///< shifts, even: each is drawn together with its opposite
  std::uint64_t seed = 0;  ///< of the shifts, which are the same for every row and call
};

/// Any denoiser whose score at x is replaced by its mean over x + kappa e_m for fixed e_m ~ N(0, I):
/// D(x) = mean_m D_inner(x + kappa e_m) - kappa mean_m e_m. The e_m come in opposite pairs, so their mean is zero.
/// Over the EmpiricalDenoiser this is the smoothed closed-form diffusion model, which needs no training; kappa = 0 is the inner denoiser.
/// The paper's estimate by nearest neighbours with a controlled remainder is the EmpiricalDenoiser itself, with its eps.
/// Cost: `draws` evaluations of the inner denoiser. Source: arXiv 2310.12395.
class SmoothedDenoiser : public Denoiser {
 public:
  /// @throws InvalidArgument without a denoiser, for kappa < 0 or not finite, and for draws that are odd or below 2
  SmoothedDenoiser(std::shared_ptr<const Denoiser> inner, const SmoothedOptions& options);
  std::int64_t dim() const override { return inner_->dim(); }
  /// kappa e_m, [draws, D] float64; the second half is the opposite of the first.
  const torch::Tensor& shifts() const { return shifts_; }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override;
  std::shared_ptr<const Denoiser> inner_;
  torch::Tensor shifts_;
};

}  // namespace headstart
