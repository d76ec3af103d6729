#include "headstart/solve/sigmas.h"

#include <fmt/format.h>

#include <cmath>

#include "headstart/error.h"

namespace headstart {

std::vector<double> karras_sigmas(const KarrasOptions& o) {
  if (o.steps < 1) throw InvalidArgument(fmt::format("[karras_sigmas] expected steps >= 1, got {}", o.steps));
  if (!(o.sigma_min > 0) || !(o.sigma_max > o.sigma_min) || !std::isfinite(o.sigma_max))
    throw InvalidArgument(fmt::format("[karras_sigmas] expected 0 < sigma_min < sigma_max, got {} and {}", o.sigma_min, o.sigma_max));
  if (!(o.rho > 0)) throw InvalidArgument(fmt::format("[karras_sigmas] expected rho > 0, got {}", o.rho));
  const double top = std::pow(o.sigma_max, 1 / o.rho), bottom = std::pow(o.sigma_min, 1 / o.rho);
  std::vector<double> sigmas{o.sigma_max};  // exactly, not through pow and back
  for (std::int64_t i = 1; i < o.steps; ++i)
    sigmas.push_back(i == o.steps - 1 ? o.sigma_min
                                      : std::pow(top + static_cast<double>(i) / static_cast<double>(o.steps - 1) * (bottom - top), o.rho));
  if (o.final_zero) sigmas.push_back(0);
  return sigmas;
}

void require_sigmas(const char* function, const std::vector<double>& sigmas) {
  if (sigmas.size() < 2) throw InvalidArgument(fmt::format("[{}] expected at least two sigmas, got {}", function, sigmas.size()));
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    if (!std::isfinite(sigmas[i]) || sigmas[i] < 0)
      throw InvalidArgument(fmt::format("[{}] expected finite sigmas >= 0, got {}", function, sigmas[i]));
    if (i > 0 && sigmas[i] >= sigmas[i - 1])
      throw InvalidArgument(fmt::format("[{}] expected strictly descending sigmas, got {} after {}", function, sigmas[i], sigmas[i - 1]));
  }
}

}  // namespace headstart
