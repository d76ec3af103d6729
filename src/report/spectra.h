#pragma once
// What the two spectrum figures draw: few enough points for a page, none of the visible shape lost.

#include <cstdint>
#include <vector>

#include "headstart/report/report.h"

namespace headstart {

/// Directions of the whole space: dim, or the number of eigenvalues where dim is not given.
std::int64_t full_dim(const Spectrum& spectrum);

/// Variance in all directions together.
double total_variance(const Spectrum& spectrum);

/// Ranks (from 1) to draw of `count`: every one of the first 64, then evenly on a log axis, the last always among them.
std::vector<std::int64_t> drawn_ranks(std::int64_t count);

/// Eigenvalues large enough for a log axis: those above 1e-7 of the largest. The rest is rounding or dead pixels.
std::int64_t drawable_count(const Spectrum& spectrum);

/// Share of the total variance in the first `rank` directions, the tail counted for those not listed.
double energy_share(const Spectrum& spectrum, std::int64_t rank);

/// Directions with sqrt(lambda) above sigma, the tail counted.
std::int64_t modes_above(const Spectrum& spectrum, double sigma);

}  // namespace headstart
