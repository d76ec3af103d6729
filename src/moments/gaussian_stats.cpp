#include "headstart/moments/gaussian_stats.h"

#include <fmt/format.h>

#include <algorithm>

#include "headstart/core/tensor_file.h"
#include "headstart/error.h"
#include "stats_file.h"
#include "tall.h"

namespace headstart {

using torch::Tensor;

double GaussianStats::trace() const { return eigenvalues.sum().item<double>() + static_cast<double>(dim() - rank()) * tail; }

double GaussianStats::energy() const {
  const double total = trace();
  return total > 0 ? eigenvalues.sum().item<double>() / total : 1.0;
}

GaussianStats GaussianStats::to(const torch::TensorOptions& options) const {
  GaussianStats copy = *this;
  copy.mean = mean.to(options);
  copy.basis = basis.to(options);
  copy.eigenvalues = eigenvalues.to(options);
  return copy;
}

GaussianStats gaussian_from_moments(const Tensor& mean, const Tensor& covariance, const CutOptions& cut) {
  const std::int64_t dim = mean.size(0);
  if (cut.rank < 0 || cut.rank > dim)
    throw InvalidArgument(fmt::format("[fit_gaussian] expected a rank from 1 to {}, got {}", dim, cut.rank));
  if (!(cut.energy >= 0 && cut.energy <= 1))
    throw InvalidArgument(fmt::format("[fit_gaussian] expected energy in (0, 1], got {}", cut.energy));
  if (!covariance.isfinite().all().item<bool>()) throw NumericalError("[fit_gaussian] expected a finite covariance");
  const auto [ascending, vectors] = torch::linalg_eigh(covariance);
  Tensor values = ascending.flip(0).contiguous();

  // A covariance is positive; what eigh finds below zero is rounding of the largest eigenvalue, or an error worth stopping for.
  const double largest = values[0].item<double>(), smallest = values[dim - 1].item<double>();
  if (smallest < -1e-10 * std::max(largest, 1e-300))
    throw NumericalError(
        fmt::format("[fit_gaussian] expected a positive covariance, got an eigenvalue {:.3g} (largest {:.3g})", smallest, largest));
  values.clamp_min_(0);

  std::int64_t rank = cut.rank == 0 ? dim : cut.rank;
  const double trace = values.sum().item<double>();
  if (cut.energy > 0 && trace > 0) {
    const Tensor reached = values.cumsum(0) >= cut.energy * trace * (1 - 1e-12);
    rank = std::min(rank, dim - reached.sum().item<std::int64_t>() + 1);
  }
  GaussianStats stats;
  stats.mean = mean.clone();
  stats.basis = vectors.narrow(1, dim - rank, rank).flip(1).contiguous();
  settle_signs(stats.basis);
  stats.eigenvalues = values.narrow(0, 0, rank).contiguous();
  if (cut.mean_tail && rank < dim) stats.tail = values.narrow(0, rank, dim - rank).mean().item<double>();
  stats.shape = {1, 1, dim};
  stats.clipped = std::min(smallest, 0.0);
  return stats;
}

GaussianStats cut_to_rank(const GaussianStats& stats, std::int64_t rank) {
  if (rank < 1 || rank > stats.rank())
    throw InvalidArgument(fmt::format("[cut_to_rank] expected a rank from 1 to {}, got {}", stats.rank(), rank));
  GaussianStats cut = stats;
  cut.basis = stats.basis.narrow(1, 0, rank).contiguous();
  cut.eigenvalues = stats.eigenvalues.narrow(0, 0, rank).contiguous();
  const double rest = stats.trace() - cut.eigenvalues.sum().item<double>();
  if (rank < stats.rank()) cut.tail = rest / static_cast<double>(stats.dim() - rank);
  return cut;
}

void save_stats(const std::string& path, const GaussianStats& stats) {
  auto metadata = stats_metadata(stats);
  if (!stats.network_sha256.empty()) {
    metadata.erase("data_sha256");
    metadata["network_sha256"] = stats.network_sha256;
  }
  write_tensors(path,
                {{"mean", stats.mean},
                 {"basis", stats.basis},
                 {"eigenvalues", stats.eigenvalues},
                 {"tail", torch::scalar_tensor(stats.tail, torch::kFloat64)}},
                metadata);
}

GaussianStats load_stats(const std::string& path) { return read_gaussian(StatsFile(path)); }

GaussianStats read_gaussian(const StatsFile& file) {
  if (file.is_mixture()) file.refuse("expected the statistics of one Gaussian, got a mixture");
  GaussianStats stats;
  stats.mean = file.read("mean", 1);
  stats.basis = file.read("basis", 2);
  stats.eigenvalues = file.read("eigenvalues", 1);
  const Tensor tail = file.read("tail", 0);
  stats.tail = tail.item<double>();
  if (stats.basis.size(0) != stats.dim() || stats.basis.size(1) != stats.rank() || stats.rank() > stats.dim())
    file.refuse(fmt::format("expected a basis of shape [{}, {}], got [{}, {}]", stats.dim(), stats.rank(), stats.basis.size(0),
                            stats.basis.size(1)));
  file.require_spectrum(stats.basis, stats.eigenvalues, tail);
  file.describe(stats);
  if (file.has_metadata("network_sha256")) stats.network_sha256 = file.metadata("network_sha256");
  return stats;
}

}  // namespace headstart
