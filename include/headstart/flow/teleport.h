#pragma once
// Analytical teleportation: the first part of a sampling path by formula, in front of any solver.

#include <torch/types.h>

#include <string>
#include <vector>

#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// What becomes of the sampler's grid behind the jump.
enum class TeleportMode {
  tail,      ///< keep the rest of the original grid: evaluations saved
  respaced,  ///< lay as many points below the jump as the grid had: quality gained
};

/// @throws InvalidArgument listing the valid names
TeleportMode parse_teleport_mode(const std::string& name);

/// The part of `grid` from its largest level <= sigma on; the jump lands on its first.
/// @param grid   strictly descending; a final 0 is kept
/// @throws InvalidArgument where no positive level of the grid is <= sigma
std::vector<double> tail_of(const std::vector<double>& grid, double sigma);

/// x at sigma_max carried to sigma_skip under the Gaussian: gaussian_flow in fixed micro-batches, so that a row's result depends on the row
/// alone. Costs no network evaluation. Source: arXiv 2412.09726, section on analytical teleportation.
/// @param x  [B, D] float64, sigma_max * noise
torch::Tensor teleport(const GaussianStats& stats, const torch::Tensor& x, double sigma_max, double sigma_skip);

}  // namespace headstart
