#pragma once
// Functions of a Gaussian's covariance, applied to points: every closed form of a Gaussian is one of these.

#include <torch/types.h>

#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// f(Sigma) y for a function f of the covariance's eigenvalues: U diag(modes) U^T y + tail (I - U U^T) y. No autograd through it.
/// @param stats  in the dtype of y
/// @param y      [B, D]
/// @param modes  f(eigenvalues), [R] or [B, R]
/// @param tail   f(tail), scalar tensor or [B, 1]
/// Cost 4 B D R flops; for few rows the time to read U once. Results do not depend on the number of threads. Memory B D numbers, as many
/// for up to eight more where B < 128.
torch::Tensor apply_spectral(const GaussianStats& stats, const torch::Tensor& y, const torch::Tensor& modes, const torch::Tensor& tail);

/// mean + f(Sigma) (x - mean); otherwise as apply_spectral.
torch::Tensor apply_spectral_about_mean(const GaussianStats& stats, const torch::Tensor& x, const torch::Tensor& modes,
                                        const torch::Tensor& tail);

}  // namespace headstart
