#include "headstart/moments/moments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <tuple>
#include <vector>

#include "headstart/data/sha256.h"
#include "headstart/error.h"

namespace headstart {

using torch::Tensor;

MomentAccumulator::MomentAccumulator(std::int64_t dim)
    : dim_(dim), sum_(torch::zeros({dim}, torch::kFloat64)), outer_(torch::zeros({dim, dim}, torch::kFloat64)) {}

void MomentAccumulator::add(const Tensor& x) {
  if (x.dim() != 2 || x.size(1) != dim_)
    throw InvalidArgument(fmt::format("[MomentAccumulator::add] expected x of shape [B, {}], got {} dimensions, last {}", dim_, x.dim(),
                                      x.dim() > 0 ? x.size(-1) : 0));
  if (x.size(0) == 0) return;
  Tensor y = x.to(torch::kFloat64);
  if (count_ == 0) shift_ = y.mean(0);
  y = y - shift_;
  sum_ += y.sum(0);
  outer_.addmm_(y.t(), y);
  count_ += x.size(0);
}

Tensor MomentAccumulator::mean() const {
  if (count_ == 0) throw InvalidArgument("[MomentAccumulator::mean] expected at least one point");
  return shift_ + sum_ / static_cast<double>(count_);
}

Tensor MomentAccumulator::covariance(std::int64_t ddof) const {
  if (count_ <= ddof)
    throw InvalidArgument(fmt::format("[MomentAccumulator::covariance] expected more than {} points, got {}", ddof, count_));
  const Tensor centred = outer_ - torch::outer(sum_, sum_) / static_cast<double>(count_);
  return (centred + centred.t()) * (0.5 / static_cast<double>(count_ - ddof));
}

std::pair<double, double> data_range(bool is_uint8, double low, double high) {
  if (is_uint8 || (low >= -1 && high <= 1)) return {-1, 1};
  return low < high ? std::pair(low, high) : std::pair(low - 1, high + 1);  // constant data still span something
}

GaussianStats fit_gaussian(ImageStream& stream, const FitOptions& options) {
  const std::int64_t dim = stream.shape().dim();
  const std::int64_t wanted = options.limit > 0 ? std::min(options.limit, stream.count()) : stream.count();
  const std::int64_t rows = std::clamp<std::int64_t>(16'000'000 / dim, 1, 8192);  // 64 MB of float32 at the most
  std::vector<float> buffer(static_cast<std::size_t>(rows * dim));
  MomentAccumulator moments(dim);
  Sha256 hash;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  while (moments.count() < wanted) {
    const auto size = static_cast<std::size_t>(std::min(rows, wanted - moments.count()) * dim);
    const std::int64_t got = stream.read(std::span(buffer).first(size));
    if (got == 0) break;
    const auto values = std::span(buffer).first(static_cast<std::size_t>(got * dim));
    hash.update(std::as_bytes(values));
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    low = std::min<double>(low, *least);
    high = std::max<double>(high, *most);
    moments.add(torch::from_blob(buffer.data(), {got, dim}, torch::kFloat32));
    if (options.on_progress) options.on_progress(moments.count());
  }
  GaussianStats stats = gaussian_from_moments(moments.mean(), moments.covariance(), options.cut);
  stats.shape = stream.shape();
  stats.count = moments.count();
  std::tie(stats.range_low, stats.range_high) = data_range(stream.is_uint8(), low, high);
  stats.data_sha256 = hash.hex();
  return stats;
}

double fitted_log_likelihood(const GaussianStats& stats) {
  const double rest = static_cast<double>(stats.dim() - stats.rank()), dim = static_cast<double>(stats.dim());
  if (stats.eigenvalues.min().item<double>() <= 0 || (rest > 0 && stats.tail <= 0)) return -std::numeric_limits<double>::infinity();
  const double log_det = stats.eigenvalues.log().sum().item<double>() + (rest > 0 ? rest * std::log(stats.tail) : 0.0);
  return -0.5 * (dim * std::log(2 * std::numbers::pi) + log_det + dim);
}

}  // namespace headstart
