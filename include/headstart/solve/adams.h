#pragma once
// Adams-Bashforth methods in sigma: slopes (x - D) / sigma of earlier levels, extrapolated over the step.

#include "headstart/solve/solver.h"

namespace headstart {

/// DEIS-tAB (arXiv 2204.13902, eq. 15) with t = sigma: the polynomial through the last slopes, integrated exactly over the step.
/// options.order: 1 to 4 slopes (default 3). Evaluations: one a step.
torch::Tensor sample_deis(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                          const SolveOptions& options = {});

/// iPNDM (arXiv 2204.13902, appendix; after 2202.09778): the same with the coefficients of equal steps, whatever the grid: above order 1 it
/// converges with order 2 where neighbouring steps become alike. options.order: 1 to 4 slopes (default 3). Evaluations: one a step.
torch::Tensor sample_ipndm(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                           const SolveOptions& options = {});

}  // namespace headstart
