#pragma once
// Solvers of the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma over the Denoiser contract.

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "headstart/denoise/denoiser.h"

namespace headstart {

struct SolveOptions {
  /// Called after each step with its index and the state at sigmas[index + 1]; may throw to stop.
  std::function<void(std::size_t, const torch::Tensor&)> on_step{};
};

/// Carries x from sigmas.front() to sigmas.back().
///
/// @param x       [B, D] float64 state at sigmas.front() (for pure noise: sigma_max * noise)
/// @param sigmas  strictly descending, last >= 0; a run that ends in 0 spends its last evaluation on the final denoise
/// @return        [B, D] float64
/// @throws InvalidArgument on another shape or grid
using Solver =
    std::function<torch::Tensor(const Denoiser&, const torch::Tensor& x, const std::vector<double>& sigmas, const SolveOptions&)>;

/// First order; DDIM (arXiv 2010.02502) is the same update in sigma-space. Evaluations: one a step.
torch::Tensor sample_euler(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                           const SolveOptions& options = {});

/// Second order; arXiv 2206.00364, algorithm 1. Evaluations: two a step, one for a step to 0.
torch::Tensor sample_heun(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                          const SolveOptions& options = {});

/// "heun", "euler" or its other name "ddim". @throws InvalidArgument listing the valid names
Solver find_solver(const std::string& name);

}  // namespace headstart
