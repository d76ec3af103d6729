#include "spectra.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace headstart {

std::int64_t full_dim(const Spectrum& spectrum) {
  return spectrum.dim > 0 ? spectrum.dim : static_cast<std::int64_t>(spectrum.eigenvalues.size());
}

double total_variance(const Spectrum& spectrum) {
  const auto listed = static_cast<std::int64_t>(spectrum.eigenvalues.size());
  return std::accumulate(spectrum.eigenvalues.begin(), spectrum.eigenvalues.end(), 0.0) +
         spectrum.tail * static_cast<double>(full_dim(spectrum) - listed);
}

std::vector<std::int64_t> drawn_ranks(std::int64_t count) {
  constexpr std::int64_t kAll = 64;
  constexpr double kPerDecade = 150;
  std::vector<std::int64_t> ranks;
  for (std::int64_t rank = 1; rank <= std::min(count, kAll); ++rank) ranks.push_back(rank);
  for (int i = 1; !ranks.empty() && ranks.back() < count; ++i) {
    const auto rank = static_cast<std::int64_t>(std::llround(static_cast<double>(kAll) * std::pow(10.0, i / kPerDecade)));
    if (rank > ranks.back()) ranks.push_back(std::min(rank, count));
  }
  return ranks;
}

std::int64_t drawable_count(const Spectrum& spectrum) {
  const double floor = std::max(spectrum.eigenvalues.front(), spectrum.tail) * 1e-7;
  return std::count_if(spectrum.eigenvalues.begin(), spectrum.eigenvalues.end(), [&](double value) { return value > floor; });
}

double energy_share(const Spectrum& spectrum, std::int64_t rank) {
  const auto listed = std::min(rank, static_cast<std::int64_t>(spectrum.eigenvalues.size()));
  const double sum = std::accumulate(spectrum.eigenvalues.begin(), spectrum.eigenvalues.begin() + listed, 0.0);
  return (sum + spectrum.tail * static_cast<double>(rank - listed)) / total_variance(spectrum);
}

std::int64_t modes_above(const Spectrum& spectrum, double sigma) {
  const auto listed = static_cast<std::int64_t>(spectrum.eigenvalues.size());
  const std::int64_t above =
      std::count_if(spectrum.eigenvalues.begin(), spectrum.eigenvalues.end(), [&](double value) { return value > sigma * sigma; });
  return above + (spectrum.tail > sigma * sigma ? full_dim(spectrum) - listed : 0);
}

}  // namespace headstart
