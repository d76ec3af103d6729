#include "component_update.h"

#include <algorithm>
#include <utility>

#include "descending_eigh.h"

namespace headstart {
namespace {

using torch::Tensor;

/// Orthonormal columns U and g, descending, with W W^T = U diag(g) U^T. Householder's QR gives them even where columns of W are nothing.
std::pair<Tensor, Tensor> left_singular(const Tensor& w) {
  const auto [q, r] = torch::linalg_qr(w);
  const auto [values, vectors] = descending_eigh(r.mm(r.t()));
  return {q.mm(vectors), values.clamp_min(0)};
}

}  // namespace

Spectrum updated_full(const Spread& s, const Tensor& basis, double floor) {
  const auto [values, vectors] = descending_eigh(s.inner);
  return {basis.mm(vectors), values.clamp_min(floor)};
}

Spectrum updated_diagonal(const Spread& s, const Tensor& basis, double floor) {
  const auto [variances, axes] = (s.product * basis).sum(1).clamp_min(floor).sort(/*stable=*/true, 0, /*descending=*/true);
  return {torch::zeros_like(basis).scatter_(0, axes.unsqueeze(0), 1), variances};
}

Spectrum updated_lowrank(const Spread& s, double floor, bool has_tail) {
  constexpr double kLeast = 1e-6;  // a direction no better than the tail keeps this share, or it could never come back
  const auto dim = static_cast<double>(s.product.size(0)), rank = static_cast<double>(s.product.size(1));
  auto [theta, rotation] = descending_eigh(s.inner);
  theta = theta.clamp_min(floor);
  const double tail = has_tail ? std::max((s.trace - theta.sum().item<double>()) / (dim - rank), floor) : 0.0;
  const Tensor gain = (theta - tail).maximum(kLeast * theta) / theta, product = s.product.mm(rotation);
  const auto [basis, above] = left_singular(product * (gain / theta).sqrt());
  const double left = s.trace - (product.square().sum(0) * gain / theta).sum().item<double>();
  const double new_tail = has_tail ? std::max(left / dim, floor) : 0.0;
  return {basis, (above + new_tail).clamp_min(floor), new_tail};
}

}  // namespace headstart
