#include "headstart/metrics/frechet.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "headstart/core/parallel.h"
#include "headstart/error.h"
#include "headstart/moments/moments.h"

namespace headstart {

using torch::Tensor;

namespace {

/// Square roots of eigenvalues. Those that are negative by rounding count as zero, and the worst of them is kept.
/// @param scale  what the largest could be: rounding is relative to that, not to what little may be left of it
Tensor roots_of(const Tensor& eigenvalues, double scale, double& clipped) {
  const double least = eigenvalues.min().item<double>();
  if (least < -kEigenvalueRounding * scale)
    throw NumericalError(
        fmt::format("[frechet_distance] expected covariances, got an eigenvalue {:.3g} where they go up to {:.3g}", least, scale));
  clipped = std::min(clipped, least);
  return eigenvalues.clamp_min(0).sqrt();
}

/// A reference made ready for many distances to it.
struct Prepared {
  const FeatureMoments& moments;
  Tensor root;  ///< of the covariance
  double largest = 0, clipped = 0;
};

Prepared prepare(const FeatureMoments& moments) {
  for (const auto& tensor : {moments.mean, moments.covariance})
    if (!tensor.isfinite().all().item<bool>()) throw NumericalError("[frechet_distance] expected finite moments");
  Prepared reference{.moments = moments, .root = {}};
  const auto [values, vectors] = torch::linalg_eigh(moments.covariance);
  reference.largest = values.max().item<double>();
  reference.root = (vectors * roots_of(values, reference.largest, reference.clipped)).mm(vectors.t());
  return reference;
}

FrechetDistance distance_to(const Prepared& reference, const FeatureMoments& a) {
  const FeatureMoments& b = reference.moments;
  FrechetDistance distance{.clipped = reference.clipped};
  const Tensor inner = reference.root.mm(a.covariance).mm(reference.root);
  const double trace = a.covariance.trace().item<double>();
  const Tensor roots = roots_of(torch::linalg_eigvalsh(0.5 * (inner + inner.t())), reference.largest * trace, distance.clipped);
  distance.mean_term = (a.mean - b.mean).square().sum().item<double>();
  distance.covariance_term = trace + (b.covariance.trace() - 2 * roots.sum()).item<double>();
  distance.value = distance.mean_term + distance.covariance_term;
  return distance;
}

void require_equal_widths(std::int64_t a, std::int64_t b) {
  if (a != b) throw InvalidArgument(fmt::format("[frechet_distance] expected features of equal width, got {} and {}", a, b));
}

/// Moments of the rows taken `counts` times each: one resample without copying rows.
/// @param centred  [N, F] rows less their mean, so that subtracting the resample's mean cancels nothing
FeatureMoments resampled_moments(const Tensor& centred, const Tensor& mean, const Tensor& counts) {
  constexpr std::int64_t kRows = 4096;  // bounds the weighted copy
  const std::int64_t n = centred.size(0), width = centred.size(1);
  const Tensor shift = counts.matmul(centred) / static_cast<double>(n);
  Tensor products = torch::zeros({width, width}, torch::kFloat64);
  for (std::int64_t begin = 0; begin < n; begin += kRows) {
    const Tensor rows = centred.narrow(0, begin, std::min(kRows, n - begin));
    products.addmm_((rows * counts.narrow(0, begin, rows.size(0)).unsqueeze(1)).t(), rows);
  }
  products.addr_(shift, shift, 1, -static_cast<double>(n));
  return {mean + shift, products / static_cast<double>(n - 1), n};
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

std::int64_t covariance_rank(const Tensor& covariance) {
  const Tensor values = torch::linalg_eigvalsh(covariance);
  const double rounding = static_cast<double>(values.numel()) * std::numeric_limits<double>::epsilon();
  return (values > rounding * values.max().clamp_min(0)).sum().item<std::int64_t>();
}

FrechetDistance frechet_distance(const FeatureMoments& a, const FeatureMoments& b) {
  require_equal_widths(a.mean.numel(), b.mean.numel());
  for (const auto& tensor : {a.mean, a.covariance})
    if (!tensor.isfinite().all().item<bool>()) throw NumericalError("[frechet_distance] expected finite moments");
  return distance_to(prepare(b), a);
}

Tensor frechet_resamples(const Tensor& features, const FeatureMoments& reference, const BootstrapOptions& options) {
  if (options.resamples < 2)
    throw InvalidArgument(fmt::format("[frechet_resamples] expected at least 2 resamples, got {}", options.resamples));
  const FeatureMoments whole = feature_moments(features);
  require_equal_widths(whole.mean.numel(), reference.mean.numel());
  if (!whole.covariance.isfinite().all().item<bool>()) throw NumericalError("[frechet_resamples] expected finite features");
  const Prepared prepared = prepare(reference);
  const Tensor centred = features.to(torch::kFloat64) - whole.mean;
  const std::int64_t n = centred.size(0);
  const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(options.seed));
  std::vector<double> values(static_cast<std::size_t>(options.resamples));
  for (std::int64_t done = 0; done < options.resamples;) {
    // One resample a thread at a time, which bounds memory; the draws come one after the other, whatever the number of threads.
    std::vector<Tensor> counts(static_cast<std::size_t>(std::min<std::int64_t>(threads(), options.resamples - done)));
    for (auto& count : counts) count = torch::bincount(torch::randint(0, n, {n}, generator, torch::kInt64), {}, n).to(torch::kFloat64);
    parallel_shards(static_cast<std::int64_t>(counts.size()), [&](std::int64_t i) {
      const FeatureMoments moments = resampled_moments(centred, whole.mean, counts[static_cast<std::size_t>(i)]);
      values[static_cast<std::size_t>(done + i)] = distance_to(prepared, moments).value;
    });
    done += static_cast<std::int64_t>(counts.size());
    if (options.on_progress) options.on_progress(done);
  }
  return torch::tensor(values, torch::kFloat64);
}

Interval interval_about(double value, const Tensor& resamples) {
  const double half = 1.96 * resamples.std().item<double>();
  return {value - half, value + half};
}

double estimated_bias(double value, const Tensor& resamples) { return resamples.mean().item<double>() - value; }

}  // namespace headstart
