#include "headstart/solve/solver.h"

#include "headstart/error.h"
#include "headstart/solve/sigmas.h"

namespace headstart {

using torch::Tensor;

namespace {

/// dx/dsigma of the probability flow.
Tensor slope(const Denoiser& denoiser, const Tensor& x, double sigma) { return (x - denoiser.denoise(x, sigma)) / sigma; }

/// Runs `step(x, from, to)` down the grid with the state in float64.
template <class Step>
Tensor run(const char* name, const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options,
           Step step) {
  require_points(name, x, denoiser.dim());
  require_sigmas(name, sigmas);
  Tensor state = x.to(torch::kFloat64);
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    state = step(state, sigmas[i], sigmas[i + 1]);
    if (options.on_step) options.on_step(i, state);
  }
  return state;
}

}  // namespace

Tensor sample_euler(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return run("sample_euler", denoiser, x, sigmas, options,
             [&](const Tensor& state, double from, double to) { return state + (to - from) * slope(denoiser, state, from); });
}

Tensor sample_heun(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return run("sample_heun", denoiser, x, sigmas, options, [&](const Tensor& state, double from, double to) {
    const Tensor d = slope(denoiser, state, from);
    Tensor predicted = state + (to - from) * d;
    if (to == 0) return predicted;
    return state + 0.5 * (to - from) * (d + slope(denoiser, predicted, to));
  });
}

Solver find_solver(const std::string& name) {
  if (name == "heun") return sample_heun;
  if (name == "euler" || name == "ddim") return sample_euler;
  throw InvalidArgument("--solver: expected one of heun, euler, ddim, got " + name);
}

}  // namespace headstart
