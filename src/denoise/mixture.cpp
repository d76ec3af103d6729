#include "headstart/denoise/mixture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "headstart/core/parallel.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using torch::Tensor;

/// rows(x, variance) for blocks of rows, several at once, each on one thread: one parallel loop instead of one for each component. sigma:
/// scalar or [B, 1]; its square has one row where that is all the same by its layout, so that logarithms and quotients are taken once.
Tensor in_row_blocks(const Tensor& x, const Tensor& sigma, const std::function<Tensor(const Tensor&, const Tensor&)>& rows) {
  constexpr std::int64_t kRows = 128;  // fewer read all bases more often, more keep too few threads busy
  const bool is_shared = sigma.size(0) == 1 || sigma.stride(0) == 0;
  const Tensor variance = (is_shared ? sigma.narrow(0, 0, 1) : sigma).to(torch::kFloat64).square();
  const std::int64_t blocks = (x.size(0) + kRows - 1) / kRows;
  std::vector<Tensor> results(static_cast<std::size_t>(blocks));
  parallel_shards(blocks, [&](std::int64_t i) {
    const torch::NoGradGuard no_grad;  // thread-local
    const std::int64_t begin = i * kRows, size = std::min(kRows, x.size(0) - begin);
    results[static_cast<std::size_t>(i)] = rows(x.narrow(0, begin, size), is_shared ? variance : variance.narrow(0, begin, size));
  });
  return torch::cat(results);
}

}  // namespace

MixtureDenoiser::MixtureDenoiser(MixtureStats stats) : stats_(std::move(stats)) {}

const PackedMixture& MixtureDenoiser::packed(torch::ScalarType dtype) const {
  Packed& packed = dtype == torch::kFloat32 ? *single_ : *double_;
  std::call_once(packed.made, [&] { packed.mixture.emplace(stats_, dtype); });
  return *packed.mixture;
}

Tensor MixtureDenoiser::evaluate(const Tensor& x, const Tensor& sigma) const {
  const PackedMixture& mixture = packed(x.scalar_type());
  const double least = std::ldexp(1.0, x.scalar_type() == torch::kFloat32 ? -26 : -55) / static_cast<double>(stats_.components());
  return in_row_blocks(x, sigma, [&](const Tensor& rows, const Tensor& variance) {
    const PackedMixture::Projection p = mixture.project(rows);
    const Tensor weights = responsibilities(mixture.log_joint(p, variance), least);
    return mixture.posterior_mean(p, weights, variance).to(x.scalar_type());
  });
}

Tensor mixture_log_density(const MixtureStats& stats, const Tensor& x, const Tensor& sigma) {
  require_points("mixture_log_density", x, stats.dim());
  if (sigma.numel() != 1 && (sigma.dim() != 1 || sigma.size(0) != x.size(0)))
    throw InvalidArgument(fmt::format("[mixture_log_density] expected sigma to be a scalar or of shape [{}], got [{}]", x.size(0),
                                      fmt::join(sigma.sizes().vec(), ", ")));
  const double least = sigma.min().item<double>(), floor = least * least;
  const bool has_tail = stats.rank() < stats.dim();
  if (!(least >= 0) || !(stats.eigenvalues.min().item<double>() + floor > 0) ||
      (has_tail && !(stats.tail.min().item<double>() + floor > 0)))
    throw InvalidArgument("[mixture_log_density] expected sigma >= 0 and Sigma_k + sigma^2 I not singular");
  const torch::NoGradGuard no_grad;
  if (x.size(0) == 0) return torch::empty({0}, torch::kFloat64);
  const PackedMixture mixture(stats, x.scalar_type());
  return in_row_blocks(x.detach(), sigma.reshape({-1, 1}), [&](const Tensor& rows, const Tensor& variance) {
    return log_density(mixture.log_joint(mixture.project(rows), variance));
  });
}

}  // namespace headstart
