#pragma once
// UniPC (arXiv 2302.04867): predictor and corrector of any order with one evaluation a step.

#include "headstart/solve/solver.h"

namespace headstart {

/// With B(h) = h. options.order: 1 to 3 (default 3) of the predictor; the corrector, which uses the evaluation that the next step needs
/// anyway, makes it one more. The last step is predicted only. Evaluations: one a step.
torch::Tensor sample_unipc_bh1(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                               const SolveOptions& options = {});

/// With B(h) = e^h - 1; otherwise the same.
torch::Tensor sample_unipc_bh2(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                               const SolveOptions& options = {});

}  // namespace headstart
