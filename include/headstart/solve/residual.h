#pragma once
// Multistep solvers that leave the Gaussian part of every step to its formula and extrapolate only the network's residual from it.

#include <memory>

#include "headstart/flow/linear_part.h"
#include "headstart/solve/solver.h"

namespace headstart {

/// DPM-Solver++(2M) on the residual R = D - D_G: x_b = flow(x_a) + response((1 + 1/2r) R_n - 1/2r R_(n-1)). Ordinary DPM-Solver++(2M) on
/// steps that end below sigma_c, where the Gaussian is the wrong linearisation; what it extrapolates from is carried over. Order 2. With
/// R = 0 it is the exact flow, with a Gaussian of no variance DPM-Solver++(2M) itself. Evaluations: one a step.
/// @throws InvalidArgument unless sigma_c >= 0
Solver residual_dpmpp_2m(std::shared_ptr<const LinearPart> part, double sigma_c);

}  // namespace headstart
