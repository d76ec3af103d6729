#include "headstart/moments/packed_mixture.h"

#include <cmath>
#include <numbers>

namespace headstart {

using torch::Tensor;

PackedMixture::PackedMixture(const MixtureStats& stats, torch::ScalarType dtype)
    : shift_(stats.overall_mean()),
      log_weights_(stats.weights.log()),
      eigenvalues_(stats.eigenvalues),
      tail_(stats.tail),
      mean_(stats.mean - shift_),
      mean_squares_(mean_.square().sum(1)),
      stack_(stats.basis.transpose(1, 2).to(dtype).reshape({-1, stats.dim()}).contiguous()),
      mean_coordinates_(mean_.unsqueeze(1).bmm(stats.basis).flatten().to(dtype)) {}

PackedMixture::Projection PackedMixture::project(const Tensor& x) const {
  Projection p;
  p.centred = x.to(torch::kFloat64) - shift_;
  const Tensor rounded = p.centred.to(stack_.scalar_type());
  p.coordinates = rounded.mm(stack_.t()).sub_(mean_coordinates_).view({x.size(0), components(), rank()});
  p.squares = torch::addmm(mean_squares_, p.centred, mean_.t(), 1, -2).add_(p.centred.square().sum(1, true)).clamp_min_(0);
  return p;
}

Tensor PackedMixture::residuals(const Projection& p) const {
  return rank() < dim() ? (p.squares - p.coordinates.square().sum(2)).clamp_min_(0) : torch::zeros_like(p.squares);
}

// -2 log N = D ln 2 pi + log det C + (x - m)^T C^-1 (x - m), the last of which is
// |x - m|^2 / tail + sum_r (1 / mode_r - 1 / tail) (u_r . (x - m))^2, where mode and tail include the noise.
Tensor PackedMixture::log_joint(const Projection& p, const Tensor& variance) const {
  const Tensor modes = eigenvalues_ + variance.unsqueeze(2), tail = tail_ + variance;  // [B or 1, K, R], [B or 1, K]
  Tensor precision = modes.reciprocal(), doubled = modes.log().sum(2);
  if (const auto rest = static_cast<double>(dim() - rank()); rest > 0) {
    precision = precision - tail.reciprocal().unsqueeze(2);
    doubled = doubled + p.squares / tail + rest * tail.log();
  }
  const Tensor inside = p.coordinates.square().mul_(precision.to(p.coordinates.scalar_type())).sum(2);
  return log_weights_ - 0.5 * (doubled + inside + static_cast<double>(dim()) * std::log(2 * std::numbers::pi));
}

// With g = tail / (tail + variance) and h = eigenvalues / (eigenvalues + variance), and y, m about the shift:
// E[x0 | x, k] = shift + m_k + g_k (y - m_k) + U_k (h_k - g_k) U_k^T (y - m_k).
Tensor PackedMixture::posterior_mean(const Projection& p, const Tensor& weights, const Tensor& variance) const {
  const Tensor tail_gain = tail_ / (tail_ + variance);
  const Tensor gain = eigenvalues_ / (eigenvalues_ + variance.unsqueeze(2)) - tail_gain.unsqueeze(2);
  const Tensor along = weights * tail_gain;
  Tensor inside = torch::zeros({p.centred.size(0), dim()}, stack_.options());
  const Tensor used = weights.sum(0) > 0;
  p.coordinates.mul_(gain.to(p.coordinates.scalar_type())).mul_(weights.unsqueeze(2).to(p.coordinates.scalar_type()));
  for (std::int64_t k = 0; k < components(); ++k)
    if (used[k].item<bool>()) inside.addmm_(p.coordinates.select(1, k), stack_.narrow(0, k * rank(), rank()));
  return shift_ + along.sum(1, true) * p.centred + (weights - along).mm(mean_) + inside;
}

Tensor log_density(const Tensor& log_joint) { return log_joint.logsumexp(1); }

Tensor responsibilities(const Tensor& log_joint, double least) {
  const Tensor all = log_joint.softmax(1), kept = all.masked_fill(all < least, 0);
  return kept / kept.sum(1, true);
}

}  // namespace headstart
