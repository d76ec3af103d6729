#pragma once
// The probability-flow ODE and the reverse SDE of a Gaussian, solved exactly.

#include <torch/types.h>

#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// Two noise levels: where a state is and where it is to go.
struct SigmaStep {
  double from = 0;  ///< data units, > 0
  double to = 0;    ///< data units, >= 0
};

/// The exact solution of dx/dsigma = (x - D(x; sigma)) / sigma for a Gaussian's D: each eigenmode is rescaled by
/// sqrt((lambda + to^2) / (lambda + from^2)). A group: flow b->c after flow a->b is flow a->c; either direction is allowed.
///
/// @param x  [B, D] state at noise level step.from, data units
/// @return   [B, D] state at step.to, dtype and device of x
/// @throws InvalidArgument on a shape mismatch, from <= 0 or to < 0
/// Cost 4 B D R flops. Source: arXiv 2311.10892 and 2412.09726.
torch::Tensor gaussian_flow(const GaussianStats& stats, const torch::Tensor& x, const SigmaStep& step);

/// One exact step of the reverse SDE: a draw of the state at step.to < step.from given the state at step.from, per mode with v = lambda +
/// to^2 and w = from^2 - to^2: N(mean + v/(v+w) (x - mean), v w/(v+w)). The stochastic counterpart of gaussian_flow.
///
/// @param x      [B, D] state at step.from
/// @param noise  [B, D] standard normal
/// @return       [B, D] state at step.to, dtype and device of x
/// @throws InvalidArgument on a shape mismatch, or unless 0 <= to < from
/// Cost 4 B D R flops. Source: the posterior of x_to given x_from, arXiv 2006.11239 (eq. 6-7), for Gaussian data.
torch::Tensor stochastic_jump(const GaussianStats& stats, const torch::Tensor& x, const SigmaStep& step, const torch::Tensor& noise);

}  // namespace headstart
