#pragma once
// Solvers of the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma, and of its reverse SDE, over the Denoiser contract.

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "headstart/denoise/denoiser.h"

namespace headstart {

/// The noise that Heun's method may add on its way (arXiv 2206.00364, algorithm 2): before its i-th of N steps, where sigmas[i] lies in
/// [S_min, S_max], the state is lifted to the level (1 + gamma) sigmas[i], gamma = min(S_churn / N, sqrt(2) - 1).
struct Churn {
  double S_churn = 0;  ///< 0: none, and no noise is drawn
  double S_min = 0, S_max = std::numeric_limits<double>::infinity();
  double S_noise = 1;                                        ///< the noise is multiplied by it
  double highest = std::numeric_limits<double>::infinity();  ///< no level is lifted above it: where a network's range ends
};

struct V3Statistics;

struct SolveOptions {
  /// Called after each step with its index and the state at sigmas[index + 1]; may throw to stop.
  std::function<void(std::size_t, const torch::Tensor&)> on_step{};
  /// The next standard normal noise for all rows, [B, D] float64; stochastic solvers need it.
  std::function<torch::Tensor()> noise{};
  std::int64_t order = 0;                    ///< of multistep solvers: 1 to what the solver has; 0: its own default
  bool lower_order_final = false;            ///< the last steps at orders ..., 2, 1, for grids that do not end in 0
  Churn churn{};                             ///< of Heun's method
  double tolerance = 1e-3;                   ///< of adaptive solvers: error a step, relative to 1 + |x|, root mean square over the row
  std::shared_ptr<const V3Statistics> v3{};  ///< of the model; dpm_v3 needs them
  bool corrector = false;                    ///< of dpm_v3, see there
  bool pseudo_order = false;                 ///< of dpm_v3, see there
};

/// Carries x from sigmas.front() to sigmas.back().
///
/// @param x       [B, D] float64 state at sigmas.front() (for pure noise: sigma_max * noise)
/// @param sigmas  strictly descending, last >= 0; a run that ends in 0 spends its last evaluation on the final denoise
/// @return        [B, D] float64
/// @throws InvalidArgument on another shape, grid or order, and where a stochastic solver gets no noise
using Solver =
    std::function<torch::Tensor(const Denoiser&, const torch::Tensor& x, const std::vector<double>& sigmas, const SolveOptions&)>;

/// The solver of that name. @throws InvalidArgument listing the valid names
Solver find_solver(const std::string& name);

/// All names that find_solver knows.
std::vector<std::string> solver_names();

/// The highest SolveOptions::order that the solver of that name has; 0 where it has one order only. @throws InvalidArgument as find_solver
std::int64_t most_order(const std::string& name);

/// Whether the solver of that name adds noise on the way. @throws InvalidArgument listing the valid names
bool is_stochastic(const std::string& name);

}  // namespace headstart
