#include "headstart/solve/sigmas.h"

#include <fmt/format.h>

#include <cmath>

#include "headstart/error.h"

namespace headstart {

namespace {

void require_range(const char* function, const KarrasOptions& o) {
  if (o.steps < 1) throw InvalidArgument(fmt::format("[{}] expected steps >= 1, got {}", function, o.steps));
  if (!(o.sigma_min > 0) || !(o.sigma_max > o.sigma_min) || !std::isfinite(o.sigma_max))
    throw InvalidArgument(fmt::format("[{}] expected 0 < sigma_min < sigma_max, got {} and {}", function, o.sigma_min, o.sigma_max));
}

/// Levels from sigma_max to sigma_min; these two exactly, not through the function and back.
std::vector<double> equally_spaced(const Spacing& spacing, const KarrasOptions& o) {
  const double first = spacing.to_time(o.sigma_max), last = spacing.to_time(o.sigma_min);
  std::vector<double> sigmas{o.sigma_max};
  for (std::int64_t i = 1; i < o.steps; ++i)
    sigmas.push_back(i == o.steps - 1
                         ? o.sigma_min
                         : spacing.to_sigma(first + static_cast<double>(i) / static_cast<double>(o.steps - 1) * (last - first)));
  if (o.final_zero) sigmas.push_back(0);
  return sigmas;
}

}  // namespace

std::vector<double> karras_sigmas(const KarrasOptions& o) {
  require_range("karras_sigmas", o);
  if (!(o.rho > 0)) throw InvalidArgument(fmt::format("[karras_sigmas] expected rho > 0, got {}", o.rho));
  return equally_spaced(
      {.to_time = [&](double sigma) { return std::pow(sigma, 1 / o.rho); }, .to_sigma = [&](double time) { return std::pow(time, o.rho); }},
      o);
}

Spacing log_spacing() {
  return {.to_time = [](double sigma) { return std::log(sigma); }, .to_sigma = [](double time) { return std::exp(time); }};
}

Spacing quadratic(Spacing spacing) {
  return {.to_time = [s = spacing](double sigma) { return std::sqrt(s.to_time(sigma)); },
          .to_sigma = [s = spacing](double time) { return s.to_sigma(time * time); }};
}

std::vector<double> spaced_sigmas(const Spacing& spacing, const KarrasOptions& o) {
  require_range("spaced_sigmas", o);
  std::vector<double> sigmas = equally_spaced(spacing, o);
  if (sigmas.size() > 1) require_sigmas("spaced_sigmas", sigmas);
  return sigmas;
}

std::vector<double> table_sigmas(const std::vector<double>& table, std::int64_t steps, TableSpacing spacing, bool final_zero) {
  const auto size = static_cast<std::int64_t>(table.size());
  if (steps < 1 || steps > size) throw InvalidArgument(fmt::format("[table_sigmas] expected 1 to {} steps, got {}", size, steps));
  std::vector<double> sigmas;
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t index =
        spacing == TableSpacing::leading
            ? (steps - 1 - i) * (size / steps)
            : std::llround(static_cast<double>(size) * static_cast<double>(steps - i) / static_cast<double>(steps)) - 1;
    sigmas.push_back(table[static_cast<std::size_t>(index)]);
  }
  if (final_zero) sigmas.push_back(0);
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
