#pragma once
// Ancestral sampling: each step draws from the posterior of the next level given the denoised estimate.

#include "headstart/solve/solver.h"

namespace headstart {

/// DDPM (arXiv 2006.11239, eq. 6-7) in sigma-space: x_t ~ N(D + (t/s)^2 (x - D), t^2 (s^2 - t^2) / s^2) from level s to t. Evaluations: one
/// a step. Needs noise.
torch::Tensor sample_ddpm(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                          const SolveOptions& options = {});

}  // namespace headstart
