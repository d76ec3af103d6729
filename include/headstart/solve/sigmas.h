#pragma once
// Grids of noise levels: strictly descending, float64, the last one >= 0.

#include <cstdint>
#include <vector>

namespace headstart {

struct KarrasOptions {
  std::int64_t steps = 18;  ///< positive levels
  double sigma_min = 0.002;
  double sigma_max = 80;
  double rho = 7;
  bool final_zero = true;  ///< append 0: the run ends with one evaluation for the final denoise
};

/// (sigma_max^(1/rho) + i/(steps-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho; steps = 1 is sigma_max alone.
/// @throws InvalidArgument unless steps >= 1, 0 < sigma_min < sigma_max and rho > 0
/// Source: arXiv 2206.00364, eq. 5.
std::vector<double> karras_sigmas(const KarrasOptions& options = {});

/// @throws InvalidArgument unless sigmas has two levels, descends strictly, is finite, and ends at >= 0; `function` starts the message
void require_sigmas(const char* function, const std::vector<double>& sigmas);

}  // namespace headstart
