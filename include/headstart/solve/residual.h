#pragma once
// Multistep solvers that leave the Gaussian part of every step to its formula and extrapolate only the network's residual from it.

#include <memory>
#include <string>
#include <vector>

#include "headstart/flow/linear_part.h"
#include "headstart/solve/solver.h"

namespace headstart {

/// The solver of that name on the residual R = D - D_G: x_b = flow(x_a) + response(R extrapolated); iPNDM's slopes (D_G - D) / sigma are
/// carried along the part's flow instead. The ordinary solver on steps that end below sigma_c, where the Gaussian is the wrong
/// linearisation; what it extrapolates from is carried over. Of the ordinary solver's order. With R = 0 it is the exact flow, with
/// PointPart the ordinary DPM-Solver++ or UniPC, with FlatPart the ordinary iPNDM. Evaluations: one a step.
/// @throws InvalidArgument listing the solvers that have such a form; unless sigma_c >= 0
Solver residual_solver(const std::string& name, std::shared_ptr<const LinearPart> part, double sigma_c);

/// All names that residual_solver knows.
std::vector<std::string> residual_solver_names();

}  // namespace headstart
