#pragma once
// Grids of noise levels by name, as --schedule takes them.

#include <string>
#include <vector>

#include "headstart/solve/sigmas.h"

namespace headstart::app {

std::vector<std::string> schedule_names();

/// `options.steps` levels from sigma_max to sigma_min, spaced as the schedule says: karras (by rho), log (equal steps of ln sigma), linear
/// and quadratic (of the time of the variance-preserving process), cosine, flow, ddpm_leading and ddpm_trailing (levels of the table
/// between sigma_min and sigma_max; without one, of DDPM's 1000 betas).
/// @param table  of the network, ascending; empty where it has none
/// @throws InvalidArgument listing the valid names, and where the range or the number of steps does not fit the schedule
std::vector<double> grid_of(const std::string& schedule, const KarrasOptions& options, const std::vector<double>& table = {});

}  // namespace headstart::app
