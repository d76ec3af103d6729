#pragma once
// DPM-Solver++ (arXiv 2211.01095): exponential integrators of dx/du = D - x in u = -ln sigma, the denoised estimate extrapolated.

#include "headstart/solve/solver.h"

namespace headstart {

/// Multistep, the estimate extrapolated from the last two evaluations (its algorithm 2). options.order: 1 or 2. Evaluations: one a step.
torch::Tensor sample_dpmpp_2m(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                              const SolveOptions& options = {});

/// Multistep from the last three: the paper's proposition 4.1 with the parabola through them. The authors' program has half its second
/// difference there, which leaves order 2. options.order: 1 to 3. Evaluations: one a step.
torch::Tensor sample_dpmpp_3m(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                              const SolveOptions& options = {});

/// Singlestep of second order by way of the geometric middle (its algorithm 1). Evaluations: two a step, one for a step to 0.
torch::Tensor sample_dpmpp_2s(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                              const SolveOptions& options = {});

/// Singlestep of third order by way of the thirds. Evaluations: three a step, one for a step to 0.
torch::Tensor sample_dpmpp_3s(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                              const SolveOptions& options = {});

/// SDE-DPM-Solver++ (2M): the reverse SDE with the multistep extrapolation. Evaluations: one a step. Needs noise.
torch::Tensor sample_sde_dpmpp_2m(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                                  const SolveOptions& options = {});

}  // namespace headstart
