#include "headstart/flow/linear_part.h"

#include <cmath>
#include <cstdint>
#include <utility>

#include "headstart/denoise/micro_batch.h"
#include "headstart/flow/teleport.h"
#include "headstart/moments/spectral.h"

namespace headstart {
namespace {

using torch::Tensor;

/// Gauss and Legendre's nodes and weights on [0, 1], by Golub and Welsch (Math. Comp. 23, 1969).
std::pair<std::vector<double>, std::vector<double>> gauss_legendre(std::int64_t count) {
  const Tensor k = torch::arange(1, count, torch::kFloat64), off = k / (4 * k * k - 1).sqrt();
  const auto [nodes, vectors] = torch::linalg_eigh(torch::diag(off, 1) + torch::diag(off, -1));
  std::vector<double> t, w;
  for (std::int64_t i = 0; i < count; ++i) {
    t.push_back((1 + nodes[i].item<double>()) / 2);
    w.push_back(std::pow(vectors[0][i].item<double>(), 2));
  }
  return {t, w};
}

/// The integral over the step of sqrt((lambda + to^2) / (lambda + sigma^2)) (v/h)^power dv for each eigenvalue lambda: how much of a
/// residual that grows like that power is left at the step's end.
Tensor left_of(const Tensor& lambda, const SigmaStep& step, std::size_t power) {
  static const auto rule = gauss_legendre(16);
  const double h = std::log(step.from / step.to);
  Tensor sum = torch::zeros_like(lambda);
  for (std::size_t i = 0; i < rule.first.size(); ++i) {
    const double t = rule.first[i], sigma = step.from * std::exp(-t * h);
    sum.add_(((lambda + step.to * step.to) / (lambda + sigma * sigma)).sqrt(), h * rule.second[i] * std::pow(t, power));
  }
  return sum;
}

Tensor tail_of(const GaussianStats& s) { return torch::scalar_tensor(s.tail, torch::kFloat64); }

}  // namespace

Tensor GaussianPart::denoise(const Tensor& x, double sigma) const { return MicroBatched(gaussian_).denoise(x, sigma); }

Tensor GaussianPart::flow(const Tensor& x, const SigmaStep& step) const { return teleport(gaussian_.stats(), x, step.from, step.to); }

Tensor GaussianPart::carry(const Tensor& y, const SigmaStep& step) const {
  const GaussianStats& s = gaussian_.stats();
  const auto scale = [&](const Tensor& lambda) { return ((lambda + step.to * step.to) / (lambda + step.from * step.from)).sqrt(); };
  const Tensor modes = scale(s.eigenvalues), tail = scale(tail_of(s));
  return in_micro_batches(y, [&](const Tensor& rows) { return apply_spectral(s, rows, modes, tail); });
}

Tensor GaussianPart::response(const std::vector<Tensor>& terms, const SigmaStep& step) const {
  const GaussianStats& s = gaussian_.stats();
  Tensor sum;
  for (std::size_t p = 0; p < terms.size(); ++p) {
    const Tensor modes = left_of(s.eigenvalues, step, p), tail = left_of(tail_of(s), step, p);
    const Tensor added = in_micro_batches(terms[p], [&](const Tensor& rows) { return apply_spectral(s, rows, modes, tail); });
    sum = p == 0 ? added : sum.add_(added);
  }
  return sum;
}

Tensor PointPart::denoise(const Tensor& x, double /*sigma*/) const { return torch::zeros_like(x); }

Tensor PointPart::flow(const Tensor& x, const SigmaStep& step) const { return step.to / step.from * x; }

Tensor PointPart::carry(const Tensor& y, const SigmaStep& step) const { return flow(y, step); }

Tensor PointPart::response(const std::vector<Tensor>& terms, const SigmaStep& step) const {
  Tensor sum = (1 - step.to / step.from) * terms[0];
  for (std::size_t p = 1; p < terms.size(); ++p) sum.add_(terms[p], left_of(torch::zeros({}, torch::kFloat64), step, p).item<double>());
  return sum;
}

Tensor FlatPart::denoise(const Tensor& x, double /*sigma*/) const { return x; }

Tensor FlatPart::flow(const Tensor& x, const SigmaStep& /*step*/) const { return x; }

Tensor FlatPart::carry(const Tensor& y, const SigmaStep& /*step*/) const { return y; }

Tensor FlatPart::response(const std::vector<Tensor>& terms, const SigmaStep& step) const {
  const double h = std::log(step.from / step.to);
  Tensor sum = h * terms[0];
  for (std::size_t p = 1; p < terms.size(); ++p) sum.add_(terms[p], h / static_cast<double>(p + 1));
  return sum;
}

Tensor ScalarWeightPart::carry(const Tensor& y, const SigmaStep& step) const { return FlatPart().carry(y, step); }

Tensor ScalarWeightPart::response(const std::vector<Tensor>& terms, const SigmaStep& step) const {
  return PointPart().response(terms, step);
}

}  // namespace headstart
