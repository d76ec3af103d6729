#include "headstart/moments/fit_method.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "headstart/error.h"

namespace headstart {
namespace {

std::string gigabytes(double bytes) { return fmt::format("{:.3g} GB", bytes * 1e-9); }

/// Columns beyond the rank without which subspace iteration hardly converges (arXiv 0909.4061, section 4.2, recommends 5 to 10).
constexpr std::int64_t kLeastOversampling = 8;

}  // namespace

std::string to_string(FitMethod method) { return method == FitMethod::dense ? "dense" : "randomised"; }

double dense_fit_bytes(std::int64_t dim) { return 4 * 8.0 * static_cast<double>(dim) * static_cast<double>(dim); }

double randomised_fit_bytes(std::int64_t dim, std::int64_t columns) {
  const double subspaces = (8.0 + 8.0) * static_cast<double>(dim) * static_cast<double>(columns);  // the basis and Sigma times it
  return subspaces + 2 * 4.0 * static_cast<double>(dim) * static_cast<double>(randomised_batch_rows(dim));
}

std::int64_t randomised_batch_rows(std::int64_t dim) { return std::clamp<std::int64_t>(8'000'000 / dim, 256, 8192); }

FitPlan plan_fit(const FitDemand& d) {
  const double dense = dense_fit_bytes(d.dim);
  const bool dense_fits = dense <= d.memory;
  if (d.method == FitMethod::dense && !dense_fits)
    throw InvalidArgument(fmt::format("--method: dense takes {} for D = {}, but --memory allows {}; expected randomised, or more memory",
                                      gigabytes(dense), d.dim, gigabytes(d.memory)));
  if (d.method == FitMethod::dense || (!d.method && dense_fits)) return {.method = FitMethod::dense, .bytes = dense, .columns = 0};

  if (d.rank == 0)
    throw InvalidArgument(
        dense_fits ? "--rank: expected the number of eigenvectors to keep, which --method randomised needs"
                   : fmt::format("--rank: expected the number of eigenvectors to keep; all of them would take {} of memory for D = {}, "
                                 "and --memory allows {}",
                                 gigabytes(dense), d.dim, gigabytes(d.memory)));
  const std::int64_t most = std::min(d.dim, d.count - 1);  // centred data span no more
  if (d.rank > most)
    throw InvalidArgument(fmt::format("--rank: expected at most {} for {} points in {} dimensions, got {}", most, d.count, d.dim, d.rank));
  const auto columns = [&](std::int64_t oversampling) { return std::min(most, d.rank + oversampling); };
  const double fixed = randomised_fit_bytes(d.dim, 0), each = randomised_fit_bytes(d.dim, 1) - fixed;
  const auto affordable = static_cast<std::int64_t>(std::clamp((d.memory - fixed) / each, 0.0, 1e15));
  if (affordable < columns(kLeastOversampling))
    throw InvalidArgument(fmt::format("--memory: expected at least {} for rank {} in {} dimensions, got {}",
                                      gigabytes(randomised_fit_bytes(d.dim, columns(kLeastOversampling))), d.rank, d.dim,
                                      gigabytes(d.memory)));
  const std::int64_t chosen = std::min(affordable, columns(std::max<std::int64_t>(d.rank, 16)));
  return {.method = FitMethod::randomised, .bytes = randomised_fit_bytes(d.dim, chosen), .columns = chosen};
}

double available_memory() {
  double bytes = std::numeric_limits<double>::infinity();
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);)
    if (line.starts_with("MemAvailable:")) bytes = 1024 * std::stod(line.substr(line.find(':') + 1));
  double limit = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> limit && limit > 0) bytes = std::min(bytes, limit);  // "max" is no number
  return bytes;
}

}  // namespace headstart
