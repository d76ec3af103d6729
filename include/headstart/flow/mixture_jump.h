#pragma once
// The reverse SDE of a mixture of Gaussians, solved exactly.

#include <torch/types.h>

#include "headstart/flow/gaussian_flow.h"
#include "headstart/moments/mixture_stats.h"

namespace headstart {

/// What a jump of B rows draws.
struct JumpNoise {
  torch::Tensor uniform;  ///< [B], in [0, 1): chooses a row's component
  torch::Tensor normal;   ///< [B, D] standard normal: the component's own stochastic_jump
};

/// A draw of the state at step.to < step.from given the state at step.from: of a component with its posterior probability at x, then of
/// that component's reverse SDE. In fixed micro-batches, so that a row's result depends on that row alone.
///
/// @param x  [B, D] float64 state at step.from
/// @throws InvalidArgument on a shape mismatch, or unless 0 <= to < from
/// Cost 2 B D K R flops, and 4 B D R for the jumps; a copy of the bases is made.
torch::Tensor stochastic_jump(const MixtureStats& stats, const torch::Tensor& x, const SigmaStep& step, const JumpNoise& noise);

}  // namespace headstart
