#pragma once
// DPM-Solver-v3 (arXiv 2310.13268): a multistep exponential integrator whose linear part, scale and bias are statistics of the model.

#include <cstdint>
#include <string>

#include "headstart/solve/solver.h"

namespace headstart {

/// A model's empirical statistics, one value a dimension, at levels that are equally spaced in u = -ln sigma, sigma_max first. With n(x, u)
/// = (x - D) - l x and n' its derivative along the flow: l is the mean diagonal of d(x - D)/dx (the paper's eq. 5), and n' ~ s n + b by
/// least squares (eq. 11). Between levels they are linear in u.
struct V3Statistics {
  torch::Tensor l, s, b;  ///< [N + 1, D] float64 each
  double sigma_min = 0.002, sigma_max = 80;
  std::string network_sha256{};  ///< of the model they are of; empty where that is not known

  std::int64_t dim() const { return l.size(1); }
};

/// @throws InvalidArgument unless l, s, b are float64 of one shape [N + 1, D], N >= 1, and 0 < sigma_min < sigma_max; `function` starts the
/// message
void require_statistics(const char* function, const V3Statistics& statistics);

/// The local approximation of the paper's eq. 14 with derivatives from the last evaluations. options.order: 1 to 3 (default 3);
/// options.corrector repeats each step with the evaluation that the next one needs anyway (its algorithm 2); options.pseudo_order takes
/// each derivative from as few evaluations as determine it (its eq. 15), of order 2 at most. Evaluations: one a step.
/// @throws InvalidArgument without options.v3, where they are of another dimension, or where a positive level is outside their range
/// Cost O(N D) for the integrals of a run, beside the evaluations.
torch::Tensor sample_dpm_v3(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                            const SolveOptions& options = {});

}  // namespace headstart
