#include "headstart/metrics/frechet.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "headstart/error.h"
#include "headstart/moments/moments.h"

namespace headstart {

using torch::Tensor;

namespace {

/// Moments of the rows taken `weights` times each: one resample of the bootstrap without copying rows.
FeatureMoments weighted_moments(const Tensor& features, const Tensor& weights) {
  const double total = weights.sum().item<double>();
  const Tensor mean = weights.matmul(features) / total;
  const Tensor y = features - mean;
  return {mean, (y * weights.unsqueeze(1)).t().mm(y) / (total - 1), features.size(0)};
}

}  // namespace

FeatureMoments feature_moments(const Tensor& features) {
  if (features.dim() != 2 || features.size(0) < 2)
    throw InvalidArgument(fmt::format("[feature_moments] expected features of shape [N >= 2, F], got {} dimensions with {} rows",
                                      features.dim(), features.dim() > 0 ? features.size(0) : 0));
  MomentAccumulator moments(features.size(1));
  moments.add(features);
  return {moments.mean(), moments.covariance(1), moments.count()};
}

FrechetDistance frechet_distance(const FeatureMoments& a, const FeatureMoments& b) {
  if (a.mean.sizes() != b.mean.sizes())
    throw InvalidArgument(
        fmt::format("[frechet_distance] expected features of equal width, got {} and {}", a.mean.numel(), b.mean.numel()));
  for (const auto& tensor : {a.mean, a.covariance, b.mean, b.covariance})
    if (!tensor.isfinite().all().item<bool>()) throw NumericalError("[frechet_distance] expected finite moments");
  FrechetDistance distance;
  const auto clip = [&](const Tensor& values) {
    distance.clipped = std::min(distance.clipped, values.min().item<double>());
    return values.clamp_min(0).sqrt();
  };
  const auto [values, vectors] = torch::linalg_eigh(a.covariance);
  const Tensor root = (vectors * clip(values)).mm(vectors.t());
  const Tensor inner = root.mm(b.covariance).mm(root);
  const Tensor cross = clip(torch::linalg_eigvalsh(0.5 * (inner + inner.t()))).sum();
  distance.mean_term = (a.mean - b.mean).square().sum().item<double>();
  distance.covariance_term = (a.covariance.trace() + b.covariance.trace() - 2 * cross).item<double>();
  distance.value = distance.mean_term + distance.covariance_term;
  return distance;
}

Interval frechet_interval(const Tensor& features, const FeatureMoments& reference, const BootstrapOptions& options) {
  const Tensor rows = features.to(torch::kFloat64);
  const std::int64_t n = rows.size(0);
  const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(options.seed));
  double sum = 0, square = 0;
  for (std::int64_t i = 0; i < options.resamples; ++i) {
    const Tensor picks = torch::randint(0, n, {n}, generator, torch::kInt64);
    const Tensor weights = torch::bincount(picks, {}, n).to(torch::kFloat64);
    const double value = frechet_distance(weighted_moments(rows, weights), reference).value;
    sum += value;
    square += value * value;
  }
  const double m = static_cast<double>(options.resamples), mean = sum / m;
  const double deviation = std::sqrt(std::max(0.0, (square / m - mean * mean) * m / (m - 1)));
  const double value = frechet_distance(feature_moments(rows), reference).value;
  return {value - 1.96 * deviation, value + 1.96 * deviation};
}

}  // namespace headstart
