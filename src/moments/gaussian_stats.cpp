#include "headstart/moments/gaussian_stats.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "headstart/core/tensor_file.h"
#include "headstart/data/safetensors.h"
#include "headstart/error.h"
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

void save_stats(const std::string& path, const GaussianStats& stats) {
  write_tensors(path,
                {{"mean", stats.mean},
                 {"basis", stats.basis},
                 {"eigenvalues", stats.eigenvalues},
                 {"tail", torch::scalar_tensor(stats.tail, torch::kFloat64)}},
                {{"format", "headstart-stats"},
                 {"version", "1"},
                 {"shape", to_string(stats.shape)},
                 {"count", std::to_string(stats.count)},
                 {"range", fmt::format("{},{}", stats.range_low, stats.range_high)},
                 {"data_sha256", stats.data_sha256}});
}

namespace {

/// The largest component of (U^T U - I) c for a few random c: nothing is formed that is larger than the basis, and a column that is not of
/// length 1, or not orthogonal to the others, shows. NaN where a value is not finite.
double orthonormality_error(const Tensor& basis) {
  const Tensor c = torch::randn({basis.size(1), 4}, at::detail::createCPUGenerator(1), torch::kFloat64);
  return (basis.t().mm(basis.mm(c)) - c).abs().max().item<double>();
}

}  // namespace

GaussianStats load_stats(const std::string& path) {
  const SafetensorsFile file(path);
  const auto refuse = [&](const std::string& what) { throw DataError(path, what); };
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != "headstart-stats")
    refuse("expected a statistics file (metadata format=headstart-stats)");
  if (file.contains("weights")) refuse("expected the statistics of one Gaussian, got a mixture");
  GaussianStats stats;
  const auto read = [&](const std::string& name, std::int64_t dimensions) {
    const Tensor tensor = to_tensor(file.get(name)).to(torch::kFloat64);
    if (tensor.dim() != dimensions) refuse(fmt::format("expected {} to have {} dimensions, got {}", name, dimensions, tensor.dim()));
    if (!std::isfinite(tensor.sum().item<double>())) refuse(fmt::format("expected finite values in {}", name));
    return tensor;
  };
  stats.mean = read("mean", 1);
  stats.basis = read("basis", 2);
  stats.eigenvalues = read("eigenvalues", 1);
  stats.tail = read("tail", 0).item<double>();
  if (stats.basis.size(0) != stats.dim() || stats.basis.size(1) != stats.rank() || stats.rank() > stats.dim())
    refuse(fmt::format("expected a basis of shape [{}, {}], got [{}, {}]", stats.dim(), stats.rank(), stats.basis.size(0),
                       stats.basis.size(1)));
  if (stats.rank() == 0) refuse("expected at least one eigenvalue");
  if ((stats.eigenvalues < 0).any().item<bool>() || (stats.eigenvalues.diff() > 0).any().item<bool>() || stats.tail < 0)
    refuse("expected eigenvalues descending and not negative, and a tail not negative");
  if (!(orthonormality_error(stats.basis) < 1e-5)) refuse("expected basis columns of length 1 that are orthogonal to each other");
  try {
    stats.shape = parse_image_shape(file.metadata("shape"));
    stats.count = std::stoll(file.metadata("count"));
  } catch (const std::logic_error& e) {  // InvalidArgument and std::stoll's own
    refuse(std::string("expected metadata shape as C,H,W and count as a number: ") + e.what());
  }
  if (stats.shape.dim() != stats.dim())
    refuse(fmt::format("expected a mean of {} values for shape {}, got {}", stats.shape.dim(), to_string(stats.shape), stats.dim()));
  if (std::sscanf(file.metadata("range").c_str(), "%lf,%lf", &stats.range_low, &stats.range_high) != 2)
    refuse("expected metadata range as low,high");
  if (!(stats.range_low < stats.range_high)) refuse("expected metadata range as low,high with low < high");
  stats.data_sha256 = file.metadata("data_sha256");
  return stats;
}

Tensor apply_spectral(const GaussianStats& stats, const Tensor& y, const Tensor& modes, const Tensor& tail) {
  return tail * y + (y.mm(stats.basis) * (modes - tail)).mm(stats.basis.t());
}

}  // namespace headstart
