#include "headstart/solve/one_step.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "headstart/core/parallel.h"
#include "march.h"

namespace headstart {
namespace {

using torch::Tensor;

// Dormand and Prince's tableau.
constexpr std::array<double, 7> kNodes = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
constexpr std::array<std::array<double, 6>, 7> kStages = {{{},
                                                           {1.0 / 5},
                                                           {3.0 / 40, 9.0 / 40},
                                                           {44.0 / 45, -56.0 / 15, 32.0 / 9},
                                                           {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
                                                           {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
                                                           {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}}};
constexpr std::array<double, 7> kErrors = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

/// The level that step i starts from when it churns.
double lifted(const Churn& churn, const std::vector<double>& sigmas, std::size_t i) {
  const double sigma = sigmas[i], steps = static_cast<double>(sigmas.size() - 1);
  if (sigma < churn.S_min || sigma > churn.S_max) return sigma;
  return std::clamp((1 + std::min(churn.S_churn / steps, std::sqrt(2.0) - 1)) * sigma, sigma, std::max(sigma, churn.highest));
}

}  // namespace

Tensor sample_euler(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return march("sample_euler", denoiser, x, sigmas, options,
               [&](const Tensor& state, std::size_t i) { return state + (sigmas[i + 1] - sigmas[i]) * slope(denoiser, state, sigmas[i]); });
}

Tensor sample_heun(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  const Churn& churn = options.churn;
  if (!(churn.S_churn >= 0 && churn.S_min <= churn.S_max && churn.S_noise >= 0))
    throw InvalidArgument(fmt::format("[sample_heun] expected S_churn >= 0, S_min <= S_max and S_noise >= 0, got {}, {}, {} and {}",
                                      churn.S_churn, churn.S_min, churn.S_max, churn.S_noise));
  return march("sample_heun", denoiser, x, sigmas, options, [&](Tensor state, std::size_t i) {
    const double from = lifted(churn, sigmas, i), to = sigmas[i + 1];
    if (from > sigmas[i])
      state = state + churn.S_noise * std::sqrt(from * from - sigmas[i] * sigmas[i]) * next_noise("sample_heun", options);
    const Tensor d = slope(denoiser, state, from);
    Tensor predicted = state + (to - from) * d;
    if (to == 0) return predicted;
    return state + 0.5 * (to - from) * (d + slope(denoiser, predicted, to));
  });
}

Tensor sample_rk45(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  require_points("sample_rk45", x, denoiser.dim());
  require_sigmas("sample_rk45", sigmas);
  constexpr double kLeastTolerance = 1e-12;  // beyond it rounding would reject every step
  if (!(options.tolerance >= kLeastTolerance))
    throw InvalidArgument(fmt::format("[sample_rk45] expected a tolerance of at least {}, got {}", kLeastTolerance, options.tolerance));
  const bool ends_in_zero = sigmas.back() == 0;
  const double last = std::log(smallest_level(sigmas));
  const auto derivative = [&](const Tensor& state, const Tensor& u) {  // dx / d ln sigma
    return state - denoiser.denoise(state, u.exp().flatten());
  };
  Tensor state = x.to(torch::kFloat64), u = torch::full({x.size(0), 1}, std::log(sigmas.front()), state.options());
  Tensor step = torch::full_like(u, -0.1).maximum(last - u), first = derivative(state, u);
  for (std::size_t attempt = 0; (u > last).any().item<bool>(); ++attempt) {
    std::array<Tensor, 7> k{first};
    Tensor moved = state;
    for (std::size_t stage = 1; stage < k.size(); ++stage) {
      moved = state.clone();
      for (std::size_t j = 0; j < stage; ++j)
        if (kStages[stage][j] != 0) moved.addcmul_(step, k[j], kStages[stage][j]);
      k[stage] = derivative(moved, u + kNodes[stage] * step);
    }
    Tensor error = torch::zeros_like(state);
    for (std::size_t j = 0; j < k.size(); ++j) error.addcmul_(step, k[j], kErrors[j]);
    const Tensor scale = options.tolerance * (1 + state.abs().maximum(moved.abs()));
    const Tensor off = on_one_thread([&] { return (error / scale).square().mean(1, true).sqrt(); });
    if (!off.isfinite().all().item<bool>())
      throw NumericalError("[sample_rk45] expected finite denoised estimates, got a value that is not");
    const Tensor accepted = off <= 1;  // a row that has arrived tries steps of 0, which change nothing
    state = torch::where(accepted, moved, state);
    first = torch::where(accepted, k.back(), first);
    u = torch::where(accepted, u + step, u);
    u = torch::where((u - last).abs() < 1e-12, torch::full_like(u, last), u);
    step = (step.clamp_max(-1e-9) * (0.9 * off.clamp_min(1e-10).pow(-0.2)).clamp(0.2, 5)).maximum(last - u);
    if (options.on_step) options.on_step(attempt, state);
  }
  return ends_in_zero ? denoiser.denoise(state, std::exp(last)) : state;
}

}  // namespace headstart
