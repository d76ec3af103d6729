#include "headstart/solve/dpm_solver.h"

#include "march.h"

namespace headstart {
namespace {

using torch::Tensor;

/// u = -ln sigma.
double u_of(double sigma) { return -std::log(sigma); }

Tensor multistep(const char* name, const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas,
                 const SolveOptions& options, std::size_t order) {
  History past(3);  // denoised estimates over u
  return march(name, denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    const double u = u_of(sigmas[i]);
    past.push(u, denoiser.denoise(state, sigmas[i]));
    const Tensor& now = past.value(0);
    if (sigmas[i + 1] == 0) return now;
    const double h = u_of(sigmas[i + 1]) - u;
    const std::size_t k = order_at(i, order, sigmas, options);
    if (k == 1) return relaxed(state, now, h);
    const double r0 = (u - past.level(1)) / h;
    const Tensor d0 = (now - past.value(1)) / r0;
    if (k == 2) return relaxed(state, now + 0.5 * d0, h);
    const double r1 = (past.level(1) - past.level(2)) / h;
    const Tensor d1 = (past.value(1) - past.value(2)) / r1;
    const Tensor second = (d0 - d1) / (r0 + r1), first = d0 + r0 * second;  // h^2 D'' / 2 and h D' of the parabola through the three
    const double phi2 = std::expm1(-h) / h + 1;
    return relaxed(state, now, h) + phi2 * first + (1 - 2 / h * phi2) * second;  // integrals of e^(v-h) v/h and e^(v-h) (v/h)^2 over [0, h]
  });
}

}  // namespace

Tensor sample_dpmpp_2m(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return multistep("sample_dpmpp_2m", denoiser, x, sigmas, options, order_of("sample_dpmpp_2m", options, 2, 2));
}

Tensor sample_dpmpp_3m(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return multistep("sample_dpmpp_3m", denoiser, x, sigmas, options, order_of("sample_dpmpp_3m", options, 3, 3));
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
    const double u = u_of(sigmas[i]);
    past.push(u, denoiser.denoise(state, sigmas[i]));
    const Tensor& now = past.value(0);
    if (sigmas[i + 1] == 0) return now;
    const double h = u_of(sigmas[i + 1]) - u, left = -std::expm1(-2 * h);
    const Tensor ahead = order_at(i, 2, sigmas, options) == 1 ? now : extrapolated(past, h);
    return std::exp(-2 * h) * state + left * ahead + sigmas[i + 1] * std::sqrt(left) * next_noise("sample_sde_dpmpp_2m", options);
  });
}

}  // namespace headstart
