#include "stats_file.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <cstdio>

#include "headstart/core/tensor_file.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using torch::Tensor;

/// The largest component of (U^T U - I) c for a few random c: nothing is formed that is larger than the basis, and a column that is not of
/// length 1, or not orthogonal to the others, shows. NaN where a value is not finite.
double orthonormality_error(const Tensor& basis) {
  const Tensor c = torch::randn({basis.size(-1), 4}, at::detail::createCPUGenerator(1), torch::kFloat64);
  return (basis.transpose(-2, -1).matmul(basis.matmul(c)) - c).abs().max().item<double>();
}

}  // namespace

StatsFile::StatsFile(const std::string& path) : file_(path) {
  const auto format = file_.metadata().find("format");
  if (format == file_.metadata().end() || format->second != "headstart-stats")
    refuse("expected a statistics file (metadata format=headstart-stats)");
}

void StatsFile::refuse(const std::string& what) const { throw DataError(file_.path(), what); }

Tensor StatsFile::read(const std::string& name, std::int64_t dimensions) const {
  const Tensor tensor = to_tensor(file_.get(name)).to(torch::kFloat64);
  if (tensor.dim() != dimensions) refuse(fmt::format("expected {} to have {} dimensions, got {}", name, dimensions, tensor.dim()));
  if (!std::isfinite(tensor.sum().item<double>())) refuse(fmt::format("expected finite values in {}", name));
  return tensor;
}

void StatsFile::require_spectrum(const Tensor& basis, const Tensor& eigenvalues, const Tensor& tail) const {
  if (eigenvalues.size(-1) == 0) refuse("expected at least one eigenvalue");
  if ((eigenvalues < 0).any().item<bool>() || (eigenvalues.diff() > 0).any().item<bool>() || (tail < 0).any().item<bool>())
    refuse("expected eigenvalues descending and not negative, and a tail not negative");
  if (!(orthonormality_error(basis) < 1e-5)) refuse("expected basis columns of length 1 that are orthogonal to each other");
}

std::pair<ImageShape, std::int64_t> StatsFile::shape_and_count(std::int64_t dim) const {
  std::pair<ImageShape, std::int64_t> result;
  try {
    result = {parse_image_shape(metadata("shape")), std::stoll(metadata("count"))};
  } catch (const std::logic_error& e) {  // InvalidArgument and std::stoll's own
    refuse(std::string("expected metadata shape as C,H,W and count as a number: ") + e.what());
  }
  if (result.first.dim() != dim)
    refuse(fmt::format("expected a mean of {} values for shape {}, got {}", result.first.dim(), to_string(result.first), dim));
  return result;
}

std::pair<double, double> StatsFile::range() const {
  double low = 0, high = 0;
  if (std::sscanf(metadata("range").c_str(), "%lf,%lf", &low, &high) != 2) refuse("expected metadata range as low,high");
  if (!(low < high)) refuse("expected metadata range as low,high with low < high");
  return {low, high};
}

}  // namespace headstart
