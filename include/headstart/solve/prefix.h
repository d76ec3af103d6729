#pragma once
// The first part of a sampling path by a closed form whose flow has no formula, such as a mixture's.

#include <functional>

#include "headstart/denoise/denoiser.h"
#include "headstart/flow/gaussian_flow.h"

namespace headstart {

struct PrefixOptions {
  double tolerance = 1e-5;          ///< of sample_rk45, which integrates
  std::function<void()> on_step{};  ///< after each of its steps; may throw to stop
};

/// x at step.from carried to step.to along the closed form's own probability flow, integrated with steps that each row chooses for itself,
/// in micro-batches, so that a row's result depends on that row alone. Costs no network evaluation.
/// @param x  [B, D] float64 state at step.from
/// @return   [B, D] float64 state at step.to
/// @throws InvalidArgument on another shape, unless 0 < to < from, and on a tolerance below 1e-12
torch::Tensor integrated_prefix(const Denoiser& closed_form, const torch::Tensor& x, const SigmaStep& step,
                                const PrefixOptions& options = {});

}  // namespace headstart
