#pragma once
// How much of a network's score a model explains: at given points, and along each eigenmode.

#include <torch/types.h>

#include "headstart/metrics/frechet.h"

namespace headstart {

/// Mean over the points of 1 - |a - b|^2 / |a|^2.
struct ExplainedShare {
  double mean = 0;
  double std = 0;       ///< over the points, divisor B - 1; 0 for one point
  Interval interval{};  ///< mean -/+ 1.96 std / sqrt(B): about 95 %, the points drawn anew
};

/// Explained variance of one denoiser by another at one noise level. "Reversed" shares are relative to the model instead of the network:
/// they tell a model that is too small (which explains little) from one that is too large (which explains less than nothing).
struct ExplainedVariance {
  ExplainedShare score;         ///< relative to |s_net|^2; sigma cancels
  ExplainedShare score_rev;     ///< relative to |s_model|^2
  ExplainedShare denoised;      ///< relative to |D_net|^2, in data units as they are: not centred
  ExplainedShare denoised_rev;  ///< relative to |D_model|^2
};

/// @param x      [B, D] noisy points
/// @param net    [B, D] D_net(x), the network's denoised estimates
/// @param model  [B, D] D_model(x)
/// @throws InvalidArgument on different shapes or B = 0; NumericalError on values that are not finite, and where a score or an estimate is
///         exactly zero, so that there is nothing to explain
/// Cost O(B D). Source: arXiv 2412.09726, explained variance of the score.
ExplainedVariance explained_variance(const torch::Tensor& x, const torch::Tensor& net, const torch::Tensor& model);

/// The same along each column of a basis, as a ratio of sums over the points: 1 - sum (u.(s_net - s_model))^2 / sum (u.s_net)^2.
/// @param basis  [D, R], orthonormal columns
/// @return       [R] float64
/// @throws as explained_variance
/// Cost 4 B D R flops.
torch::Tensor explained_by_mode(const torch::Tensor& basis, const torch::Tensor& x, const torch::Tensor& net, const torch::Tensor& model);

}  // namespace headstart
