#include "headstart/solve/adams.h"

#include <array>

#include "march.h"

namespace headstart {
namespace {

using torch::Tensor;

/// Adams-Bashforth's for equal steps, by the number of slopes.
constexpr std::array<std::array<double, 4>, 4> kEqualSteps = {
    {{1}, {3.0 / 2, -1.0 / 2}, {23.0 / 12, -16.0 / 12, 5.0 / 12}, {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}}};

/// The integral from `from` to `to` of the Lagrange polynomial that is 1 at nodes[j] and 0 at the others.
double lagrange_integral(const std::vector<double>& nodes, std::size_t j, double from, double to) {
  std::vector<double> polynomial{1};  // in (s - from), constant first
  for (std::size_t m = 0; m < nodes.size(); ++m) {
    if (m == j) continue;
    const double root = nodes[m] - from, scale = nodes[j] - nodes[m];
    polynomial.push_back(0);
    for (std::size_t p = polynomial.size(); p-- > 0;) polynomial[p] = ((p > 0 ? polynomial[p - 1] : 0) - root * polynomial[p]) / scale;
  }
  double integral = 0;
  for (std::size_t p = polynomial.size(); p-- > 0;) integral = (integral + polynomial[p] / static_cast<double>(p + 1)) * (to - from);
  return integral;
}

/// x + sum_j weight(j) slope_j over each step. weight(nodes, j, from, to) for nodes newest first.
template <class Weight>
Tensor adams(const char* name, const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options,
             Weight weight) {
  const std::size_t order = order_of(name, options, 4, 3);
  History slopes(order);
  return march(name, denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) {
    slopes.push(sigmas[i], slope(denoiser, state, sigmas[i]));
    const std::size_t k = sigmas[i + 1] == 0 ? 1 : order_at(i, order, sigmas, options);
    std::vector<double> nodes;
    for (std::size_t j = 0; j < k; ++j) nodes.push_back(slopes.level(j));
    Tensor next = state.clone();
    for (std::size_t j = 0; j < k; ++j) next.add_(slopes.value(j), weight(nodes, j, sigmas[i], sigmas[i + 1]));
    return next;
  });
}

}  // namespace

Tensor sample_deis(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return adams("sample_deis", denoiser, x, sigmas, options, lagrange_integral);
}

Tensor sample_ipndm(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return adams("sample_ipndm", denoiser, x, sigmas, options, [](const std::vector<double>& nodes, std::size_t j, double from, double to) {
    return (to - from) * kEqualSteps[nodes.size() - 1][j];
  });
}

}  // namespace headstart
