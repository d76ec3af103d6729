#pragma once
// Discrete noise schedules: which sigma a trained time step means.

#include <torch/types.h>

#include <vector>

namespace headstart {

/// sigma = sqrt((1 - alphas_cumprod) / alphas_cumprod) at each step of a discrete variance-preserving schedule, ascending.
struct StepTable {
  std::vector<double> log_sigmas;

  double sigma_min() const;
  double sigma_max() const;

  /// The (fractional) step of each sigma, by linear interpolation in log sigma; to be rounded where a network takes integers.
  /// @param sigma  any shape
  /// @throws InvalidArgument where a sigma lies outside [sigma_min, sigma_max]
  torch::Tensor step_of(const torch::Tensor& sigma) const;
};

/// Ho et al. (arXiv 2006.11239): betas linear from beta_start to beta_end. @throws InvalidArgument unless 0 < beta < 1 and steps >= 2
StepTable vp_linear(double beta_start, double beta_end, std::int64_t steps);

}  // namespace headstart
