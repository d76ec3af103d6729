#pragma once
// Runge-Kutta methods in sigma: each step starts anew from the state.

#include "headstart/solve/solver.h"

namespace headstart {

/// First order; DDIM (arXiv 2010.02502) is the same update in sigma-space. Evaluations: one a step.
torch::Tensor sample_euler(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                           const SolveOptions& options = {});

/// Second order; arXiv 2206.00364, algorithm 1, and with options.churn algorithm 2, which needs noise. Evaluations: two a step, one for a
/// step to 0.
/// @throws InvalidArgument unless S_churn >= 0, S_min <= S_max and S_noise >= 0
torch::Tensor sample_heun(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                          const SolveOptions& options = {});

/// Dormand and Prince's pair of orders 5 and 4 in ln sigma, with steps that each row chooses for itself by options.tolerance; of the grid
/// only the first and the last positive level count, and a final 0. Evaluations: six for each try of the row that needs most, one at the
/// start, and one for a final 0. on_step is called after each try.
/// @throws InvalidArgument where the tolerance is below 1e-12; NumericalError where an estimate is not finite. Source: J. Comput. Appl.
/// Math. 6 (1980).
torch::Tensor sample_rk45(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                          const SolveOptions& options = {});

}  // namespace headstart
