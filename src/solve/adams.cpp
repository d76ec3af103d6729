#include "headstart/solve/adams.h"

#include <array>

#include "split.h"

namespace headstart {
namespace {

using torch::Tensor;

/// Adams-Bashforth's for equal steps, by the number of slopes.
constexpr std::array<std::array<double, 4>, 4> kEqualSteps = {
    {{1}, {3.0 / 2, -1.0 / 2}, {23.0 / 12, -16.0 / 12, 5.0 / 12}, {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}}};

/// The integral over [0, 1] of the polynomial that is 1 at nodes[j] and 0 at the others.
double lagrange_integral(const std::vector<double>& nodes, std::size_t j) {
  const std::vector<double> polynomial = lagrange(nodes, j);
  double integral = 0;
  for (std::size_t p = 0; p < polynomial.size(); ++p) integral += polynomial[p] / static_cast<double>(p + 1);
  return integral;
}

double equal_steps(const std::vector<double>& nodes, std::size_t j) { return kEqualSteps[nodes.size() - 1][j]; }

/// The linear part's flow and, for the slopes (D_G - D) / sigma of what it leaves, (to - from) sum_j weight(j) slope_j over each step, each
/// slope carried to the step's end. weight(nodes, j): nodes are the slopes' levels, the newest first, as parts of the step.
template <class Weight>
Tensor adams(const char* name, const Split& split, const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas,
             const SolveOptions& options, Weight weight) {
  const std::size_t order = order_of(name, options, 4, 3);
  const auto advance = [&](const Residuals& residuals, const SigmaStep& step, std::size_t k) {
    const History& past = residuals.past();
    std::vector<double> nodes;
    for (std::size_t j = 0; j < k; ++j) nodes.push_back((past.level(j) - step.from) / (step.to - step.from));
    Tensor z = residuals.flowed(step);
    for (std::size_t j = 0; j < k; ++j)
      z.add_(residuals.carried(past.value(j), {.from = past.level(j), .to = step.to}),
             (step.from - step.to) / past.level(j) * weight(nodes, j));
    return z;
  };
  return multistep(name, split, kBoundlessVariance, order, denoiser, x, sigmas, options, advance);
}

}  // namespace

Tensor ipndm(const char* name, const Split& split, const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas,
             const SolveOptions& options) {
  return adams(name, split, denoiser, x, sigmas, options, equal_steps);
}

Tensor sample_deis(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return adams("sample_deis", {}, denoiser, x, sigmas, options, lagrange_integral);
}

Tensor sample_ipndm(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return ipndm("sample_ipndm", {}, denoiser, x, sigmas, options);
}

}  // namespace headstart
