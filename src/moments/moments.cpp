#include "headstart/moments/moments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "batches.h"
#include "headstart/error.h"
#include "tall.h"

namespace headstart {

using torch::Tensor;

MomentAccumulator::MomentAccumulator(std::int64_t dim)
    : dim_(dim), sum_(torch::zeros({dim}, torch::kFloat64)), outer_(torch::zeros({dim, dim}, torch::kFloat64)) {}

void MomentAccumulator::add(const Tensor& x, const std::function<void()>& meanwhile) {
  if (x.dim() != 2 || x.size(1) != dim_)
    throw InvalidArgument(fmt::format("[MomentAccumulator::add] expected x of shape [B, {}], got {} dimensions, last {}", dim_, x.dim(),
                                      x.dim() > 0 ? x.size(-1) : 0));
  if (x.size(0) == 0) return;
  const Tensor y = x.to(torch::kFloat64, /*non_blocking=*/false, /*copy=*/true);
  if (count_ == 0) shift_ = y.mean(0);
  y.sub_(shift_);
  sum_ += y.sum(0);
  add_gram(outer_, y, y, meanwhile);
  count_ += x.size(0);
}

Tensor MomentAccumulator::mean() const {
  if (count_ == 0) throw InvalidArgument("[MomentAccumulator::mean] expected at least one point");
  return shift_ + sum_ / static_cast<double>(count_);
}

Tensor MomentAccumulator::covariance(std::int64_t ddof) const {
  if (count_ <= ddof)
    throw InvalidArgument(fmt::format("[MomentAccumulator::covariance] expected more than {} points, got {}", ddof, count_));
  Tensor covariance = outer_.clone();  // in place from here on: it is the largest thing there is
  covariance.addr_(sum_, sum_, 1, -1 / static_cast<double>(count_)).div_(static_cast<double>(count_ - ddof));
  fill_upper(covariance);
  return covariance;
}

std::pair<double, double> data_range(bool is_uint8, double low, double high) {
  if (is_uint8) return {-1, 1};
  for (const auto& convention : {std::pair(0.0, 1.0), {-0.5, 0.5}, {-1.0, 1.0}})
    if (low >= convention.first && high <= convention.second) return convention;
  return low < high ? std::pair(low, high) : std::pair(low - 1, high + 1);  // constant data still span something
}

GaussianStats fit_gaussian(ImageStream& stream, const FitOptions& options) {
  const std::int64_t dim = stream.shape().dim();
  const std::int64_t rows = std::clamp<std::int64_t>(4'000'000 / dim, 512, 8192);
  Provenance provenance(stream);
  const auto [mean, covariance] = [&] {  // the accumulator's memory is free again before the eigendecomposition
    MomentAccumulator moments(dim);
    for_each_batch(stream, images_wanted(stream, options.limit), rows, [&](const Tensor& x) {
      moments.add(x, [&] { provenance.add(x); });
      if (options.on_progress) options.on_progress(moments.count());
    });
    return std::pair(moments.mean(), moments.covariance());
  }();
  GaussianStats stats = gaussian_from_moments(mean, covariance, options.cut);
  provenance.describe(stats);
  return stats;
}

double fitted_log_likelihood(const GaussianStats& stats) {
  const double rest = static_cast<double>(stats.dim() - stats.rank()), dim = static_cast<double>(stats.dim());
  if (stats.eigenvalues.min().item<double>() <= 0 || (rest > 0 && stats.tail <= 0)) return -std::numeric_limits<double>::infinity();
  const double log_det = stats.eigenvalues.log().sum().item<double>() + (rest > 0 ? rest * std::log(stats.tail) : 0.0);
  return -0.5 * (dim * std::log(2 * std::numbers::pi) + log_det + dim);
}

}  // namespace headstart
