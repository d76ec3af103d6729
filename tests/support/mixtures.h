#pragma once
// Small random mixtures, and their densities by dense algebra.

#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "gaussians.h"
#include "headstart/moments/mixture_stats.h"

namespace headstart {

/// Components with random covariances and weights 1 : 2 : 3 ..., their means `apart` standard normals each.
inline MixtureStats random_mixture(std::int64_t dim, std::int64_t components, const CutOptions& cut = {}, double apart = 1,
                                   std::uint64_t seed = 1) {
  std::vector<MixtureStats> parts;
  std::vector<double> shares;
  for (std::int64_t k = 0; k < components; ++k) {
    const auto own_seed = seed + 10 * static_cast<std::uint64_t>(k);
    GaussianStats s = random_gaussian(dim, cut, own_seed);
    s.mean = apart * s.mean;
    parts.push_back(mixture_of(s));
    shares.push_back(static_cast<double>(k + 1));
  }
  return joined(parts, shares);
}

/// log weights_k + log N(x; mean_k, Sigma_k + sigma^2 I), [B, K], with the covariances as matrices; differentiable.
inline torch::Tensor dense_log_joint(const MixtureStats& s, const torch::Tensor& x, double sigma) {
  std::vector<torch::Tensor> columns;
  for (std::int64_t k = 0; k < s.components(); ++k) {
    const torch::Tensor c = dense_covariance(s.component(k)) + sigma * sigma * torch::eye(s.dim(), torch::kFloat64);
    const torch::Tensor y = x - s.mean[k], quadratic = (y.mm(torch::linalg_inv(c)) * y).sum(1);
    const double log_det = std::get<1>(torch::linalg_slogdet(c)).item<double>();
    columns.push_back(s.weights[k].log() - 0.5 * (static_cast<double>(s.dim()) * std::log(2 * M_PI) + log_det + quadratic));
  }
  return torch::stack(columns, 1);
}

/// Points drawn from a mixture, component by component in proportion to the weights, then in random order.
inline torch::Tensor points_of(const MixtureStats& s, std::int64_t count, std::uint64_t seed) {
  std::vector<torch::Tensor> parts;
  for (std::int64_t k = 0; k < s.components(); ++k) {
    const auto n = static_cast<std::int64_t>(std::lround(static_cast<double>(count) * s.weights[k].item<double>()));
    const torch::Tensor root = torch::linalg_cholesky(dense_covariance(s.component(k)) + 1e-12 * torch::eye(s.dim(), torch::kFloat64));
    parts.push_back(s.mean[k] + random_normal({n, s.dim()}, seed + static_cast<std::uint64_t>(k)).mm(root.t()));
  }
  const torch::Tensor all = torch::cat(parts);
  return all.index_select(0, torch::randperm(all.size(0), at::detail::createCPUGenerator(seed), torch::kInt64));
}

}  // namespace headstart
