#include "headstart/flow/linear_part.h"

#include <cmath>
#include <utility>
#include <vector>

#include "headstart/denoise/micro_batch.h"

namespace headstart {
namespace {

using torch::Tensor;

struct Quadrature {
  std::vector<double> nodes, weights;
};

/// Gauss and Legendre's on [0, 1], by Golub and Welsch (Math. Comp. 23, 1969).
Quadrature gauss_legendre(std::int64_t count) {
  const Tensor k = torch::arange(1, count, torch::kFloat64), off = k / (4 * k * k - 1).sqrt();
  const auto [nodes, vectors] = torch::linalg_eigh(torch::diag(off, 1) + torch::diag(off, -1));
  Quadrature rule;
  for (std::int64_t i = 0; i < count; ++i) {
    rule.nodes.push_back((1 + nodes[i].item<double>()) / 2);
    rule.weights.push_back(std::pow(vectors[0][i].item<double>(), 2));
  }
  return rule;
}

}  // namespace

GaussianPart::GaussianPart(GaussianStats stats) : stats_(std::move(stats)), variances_(stats_.eigenvalues) {
  if (stats_.rank() < stats_.dim()) variances_ = torch::cat({variances_, torch::full({stats_.dim()}, stats_.tail, torch::kFloat64)});
}

Tensor GaussianPart::to_modes(const Tensor& x) const {
  return in_micro_batches(x, [&](const Tensor& rows) {
    const Tensor centred = rows - stats_.mean, modes = centred.matmul(stats_.basis);
    return stats_.rank() == stats_.dim() ? modes : torch::cat({modes, centred - modes.matmul(stats_.basis.t())}, 1);
  });
}

Tensor GaussianPart::from_modes(const Tensor& z) const {
  const std::int64_t rank = stats_.rank(), dim = stats_.dim();
  return in_micro_batches(z, [&](const Tensor& rows) {
    const Tensor spanned = rows.narrow(1, 0, rank).matmul(stats_.basis.t()) + stats_.mean;
    return rank == dim ? spanned : spanned + rows.narrow(1, rank, dim);
  });
}

Tensor shrinkage(const Tensor& variances, double sigma) { return variances / (variances + sigma * sigma); }

Tensor kept(const Tensor& variances, const SigmaStep& step) {
  return ((variances + step.to * step.to) / (variances + step.from * step.from)).sqrt();
}

Tensor response(const Tensor& variances, const SigmaStep& step, std::size_t power) {
  static const Quadrature rule = gauss_legendre(16);
  const double h = std::log(step.from / step.to);
  Tensor sum = torch::zeros_like(variances);
  for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
    const double t = rule.nodes[i];
    sum.add_(kept(variances, {.from = step.from * std::exp(-t * h), .to = step.to}), h * rule.weights[i] * std::pow(t, power));
  }
  return sum;
}

}  // namespace headstart
