#include "headstart/solve/dpm_solver.h"

#include "split.h"

namespace headstart {
namespace {

using torch::Tensor;

/// u = -ln sigma.
double u_of(double sigma) { return -std::log(sigma); }

}  // namespace

Tensor dpmpp_multistep(const char* name, std::int64_t most_order, const Split& split, const Denoiser& denoiser, const Tensor& x,
                       const std::vector<double>& sigmas, const SolveOptions& options) {
  const std::size_t order = order_of(name, options, most_order, most_order);
  return multistep(name, split, 0, order, denoiser, x, sigmas, options,
                   [](const Residuals& residuals, const SigmaStep& step, std::size_t k) {
                     const History& past = residuals.past();
                     const auto terms = k == 2 ? std::vector<Tensor>{extrapolated(past, step)} : through(places(past, k, step), past);
                     return residuals.flowed(step) + residuals.added(terms, step);
                   });
}

Tensor sample_dpmpp_2m(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return dpmpp_multistep("sample_dpmpp_2m", 2, {}, denoiser, x, sigmas, options);
}

Tensor sample_dpmpp_3m(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return dpmpp_multistep("sample_dpmpp_3m", 3, {}, denoiser, x, sigmas, options);
}

Tensor sample_dpmpp_2s(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return march("sample_dpmpp_2s", denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    Tensor now = denoiser.denoise(state, sigmas[i]);
    if (sigmas[i + 1] == 0) return now;
    const double h = u_of(sigmas[i + 1]) - u_of(sigmas[i]);
    return relaxed(state, denoiser.denoise(relaxed(state, now, h / 2), sigmas[i] * std::exp(-h / 2)), h);
  });
}

Tensor sample_dpmpp_3s(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return march("sample_dpmpp_3s", denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    Tensor now = denoiser.denoise(state, sigmas[i]);
    if (sigmas[i + 1] == 0) return now;
    const double h = u_of(sigmas[i + 1]) - u_of(sigmas[i]), r1 = 1.0 / 3, r2 = 2.0 / 3;
    const auto phi2 = [](double step) { return std::expm1(-step) / step + 1; };
    const Tensor d1 = denoiser.denoise(relaxed(state, now, r1 * h), sigmas[i] * std::exp(-r1 * h)) - now;
    const Tensor second = relaxed(state, now, r2 * h) + r2 / r1 * phi2(r2 * h) * d1;
    const Tensor d2 = denoiser.denoise(second, sigmas[i] * std::exp(-r2 * h)) - now;
    return relaxed(state, now, h) + phi2(h) / r2 * d2;
  });
}

Tensor sample_sde_dpmpp_2m(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  History past(2);
  return march("sample_sde_dpmpp_2m", denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    const SigmaStep step{.from = sigmas[i], .to = sigmas[i + 1]};
    past.push(step.from, denoiser.denoise(state, step.from));
    const Tensor& now = past.value(0);
    if (step.to == 0) return now;
    const double h = std::log(step.from / step.to), left = -std::expm1(-2 * h);
    const Tensor ahead = order_at(i, 2, sigmas, options) == 1 ? now : extrapolated(past, step);
    return std::exp(-2 * h) * state + left * ahead + step.to * std::sqrt(left) * next_noise("sample_sde_dpmpp_2m", options);
  });
}

}  // namespace headstart
