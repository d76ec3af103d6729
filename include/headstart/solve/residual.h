#pragma once
// Multistep solvers that leave the Gaussian part of every step to its formula and extrapolate only the network's residual from it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "headstart/flow/linear_part.h"
#include "headstart/solve/solver.h"

namespace headstart {

/// What the residual counts for over a step.
enum class ResidualWeight {
  mode,   ///< in each mode as much as its own decay leaves of it: the ordinary solver's order
  scalar  ///< 1 - to/from in all of them; of iPNDM's slopes, all: first order
};

struct ResidualOptions {
  double sigma_c = 0;                      ///< the ordinary solver on steps that end below, where the Gaussian is the wrong linearisation
  std::optional<ResidualWeight> weight{};  ///< unset: scalar for iPNDM, whose long steps it suits better; mode for the others
};

/// The solver of that name on the residual R = D - D_G: the linear part's flow over each step by formula, and R extrapolated instead of D;
/// iPNDM's slopes (D_G - D) / sigma are carried along the part's flow where the weight is by mode. What it extrapolates from is carried
/// over the switch. With R = 0 it is the exact flow, with IsotropicPart(0) the ordinary DPM-Solver++ or UniPC, with boundless variance the
/// ordinary iPNDM. Evaluations: one a step; beside them two products [B, D] x [D, R], of UniPC three. Source: variation of constants in
/// each mode; the polynomials of arXiv 2211.01095, 2302.04867 and 2204.13902.
/// @throws InvalidArgument listing the solvers that have such a form; unless sigma_c >= 0
Solver residual_solver(const std::string& name, std::shared_ptr<const LinearPart> part, const ResidualOptions& options = {});

/// All names that residual_solver knows.
std::vector<std::string> residual_solver_names();

}  // namespace headstart
