#pragma once
// Analytical teleportation: the first part of a sampling path by formula, in front of any solver.

#include <torch/types.h>

#include <string>
#include <vector>

#include "headstart/flow/gaussian_flow.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// What becomes of the sampler's grid where a closed form takes over its high levels.
enum class TeleportMode {
  tail,      ///< a jump; keep the rest of the original grid: evaluations saved
  respaced,  ///< a jump; lay as many points below it as the grid had: quality gained
  replace,   ///< no jump: the whole grid, on whose high levels the closed form is the denoiser
};

/// @throws InvalidArgument listing the valid names
TeleportMode parse_teleport_mode(const std::string& name);

/// The name that parse_teleport_mode takes.
std::string to_string(TeleportMode mode);

/// The part of `grid` from its largest level <= sigma on; the jump lands on its first.
/// @param grid   strictly descending; a final 0 is kept
/// @throws InvalidArgument where no positive level of the grid is <= sigma
std::vector<double> tail_of(const std::vector<double>& grid, double sigma);

/// x at sigma_max carried to sigma_skip under the Gaussian: gaussian_flow in fixed micro-batches, so that a row's result depends on the row
/// alone. Costs no network evaluation. Source: arXiv 2412.09726, section on analytical teleportation.
/// @param x  [B, D] float64, sigma_max * noise
/// @return   [B, D] float64 at sigma_skip
/// @throws InvalidArgument as gaussian_flow. Cost 4 B D R flops.
torch::Tensor teleport(const GaussianStats& stats, const torch::Tensor& x, double sigma_max, double sigma_skip);

/// The same for samplers that add noise on the way: stochastic_jump in fixed micro-batches.
/// @param x      [B, D] float64 at step.from
/// @param noise  [B, D] standard normal
/// @return       [B, D] float64 at step.to
/// @throws InvalidArgument as stochastic_jump. Cost 4 B D R flops.
torch::Tensor stochastic_teleport(const GaussianStats& stats, const torch::Tensor& x, const SigmaStep& step, const torch::Tensor& noise);

}  // namespace headstart
