#pragma once
// Small random Gaussians and points for tests of closed forms.

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include "headstart/moments/gaussian_stats.h"

namespace headstart {

inline torch::Tensor random_normal(at::IntArrayRef shape, std::uint64_t seed) {
  return torch::randn(shape, at::detail::createCPUGenerator(seed), torch::kFloat64);
}

/// A covariance with eigenvalues 2, 2/2^1.5, 2/3^1.5, ... in a random basis.
inline torch::Tensor random_covariance(std::int64_t dim, std::uint64_t seed) {
  const auto [q, r] = torch::linalg_qr(random_normal({dim, dim}, seed));
  const torch::Tensor eigenvalues = 2 * torch::arange(1, dim + 1, torch::kFloat64).pow(-1.5);
  return (q * eigenvalues).mm(q.t());
}

inline GaussianStats random_gaussian(std::int64_t dim, const CutOptions& cut = {}, std::uint64_t seed = 1) {
  return gaussian_from_moments(random_normal({dim}, seed + 100), random_covariance(dim, seed), cut);
}

/// Full rank, cut with the mean tail, and cut with none: the three forms every closed form must hold for.
inline std::vector<CutOptions> all_cuts() { return {{}, {.rank = 4}, {.rank = 4, .mean_tail = false}}; }

/// Mean and full covariance U diag(lambda) U^T + tail (I - U U^T), for checks by dense algebra.
inline torch::Tensor dense_covariance(const GaussianStats& s) {
  const torch::Tensor inside = s.basis.mm(s.basis.t());
  return (s.basis * s.eigenvalues).mm(s.basis.t()) + s.tail * (torch::eye(s.dim(), torch::kFloat64) - inside);
}

inline double largest_difference(const torch::Tensor& a, const torch::Tensor& b) { return (a - b).abs().max().item<double>(); }

/// Runs `call` and gives what it threw.
template <class Error, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace headstart
