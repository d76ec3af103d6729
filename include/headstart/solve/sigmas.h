#pragma once
// Grids of noise levels: strictly descending, float64, the last one >= 0.

#include <cstdint>
#include <functional>
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

/// A function of sigma, and its inverse, in which a grid has equal steps.
struct Spacing {
  std::function<double(double)> to_time;   ///< strictly increasing for sigma > 0
  std::function<double(double)> to_sigma;  ///< its inverse
};

Spacing log_spacing();  ///< ln sigma, that is half the log signal-to-noise ratio

/// Of a spacing, its square root: steps grow linearly with time ("quadratic" in DDIM, arXiv 2010.02502).
/// @param spacing  with times >= 0
Spacing quadratic(Spacing spacing);

/// `steps` levels from sigma_max to sigma_min, equally spaced in the spacing's time; options.rho is not used.
/// @throws InvalidArgument as karras_sigmas, and where levels coincide
std::vector<double> spaced_sigmas(const Spacing& spacing, const KarrasOptions& options);

enum class TableSpacing { leading, trailing };

/// Levels of a table of a discrete process, every (size / steps)-th of it: leading counts from its first entry, trailing from its last
/// (arXiv 2305.08891, table 2), so that only the latter starts at the table's end.
/// @param table  ascending, such as the sigmas of DDPM's 1000 betas
/// @throws InvalidArgument unless 1 <= steps <= table.size()
std::vector<double> table_sigmas(const std::vector<double>& table, std::int64_t steps, TableSpacing spacing, bool final_zero = true);

/// The last level above 0.
inline double smallest_level(const std::vector<double>& sigmas) { return sigmas.back() > 0 ? sigmas.back() : sigmas[sigmas.size() - 2]; }

/// @throws InvalidArgument unless sigmas has two levels, descends strictly, is finite, and ends at >= 0; `function` starts the message
void require_sigmas(const char* function, const std::vector<double>& sigmas);

}  // namespace headstart
