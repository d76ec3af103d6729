#include "headstart/solve/unipc.h"

#include "split.h"

namespace headstart {

using torch::Tensor;

Tensor unipc(const char* name, Growth growth, const Split& split, const Denoiser& denoiser, const Tensor& x,
             const std::vector<double>& sigmas, const SolveOptions& options) {
  const std::size_t order = order_of(name, options, 3, 3);
  Branches branches(split, 0, order + 1);  // the newest is of the level where the state is
  Tensor now;                              // the estimate there
  return march(name, denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    const SigmaStep step{.from = sigmas[i], .to = sigmas[i + 1]};
    branches.at(state, step.from);
    if (i == 0) {
      now = denoiser.denoise(state, step.from);
      branches.push(step.from, now);
    }
    if (step.to == 0) return now;
    Residuals& residuals = branches.for_step_to(step.to);
    const History& past = residuals.past();
    const Tensor base = residuals.flowed(step), start = past.value(0);
    // The paper's theorem 3.1 solves for weights that make every further difference count as its polynomial's integral does. With one
    // difference any weight near 1/2 gives order 2; there, and only there, B(h) is more than a factor that cancels.
    const auto with_half = [&](const Tensor& half) {
      return growth == Growth::exponential ? residuals.added({start + half}, step)
                                           : residuals.added({start}, step) + std::log(step.from / step.to) * half;
    };
    const auto integral = [&](std::size_t points) { return residuals.added(through(places(past, points, step), past), step); };

    const std::size_t k = order_at(i, order, sigmas, options);
    const Tensor predicted = residuals.state(base + (k == 2 ? with_half(extrapolated(past, step) - start) : integral(k)));
    if (i + 2 == sigmas.size()) return predicted;
    now = denoiser.denoise(predicted, step.to);
    branches.at(predicted, step.to);
    branches.push(step.to, now);
    return residuals.state(base + (k == 1 ? with_half(0.5 * (past.value(0) - start)) : integral(k + 1)));
  });
}

Tensor sample_unipc_bh1(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return unipc("sample_unipc_bh1", Growth::linear, {}, denoiser, x, sigmas, options);
}

Tensor sample_unipc_bh2(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return unipc("sample_unipc_bh2", Growth::exponential, {}, denoiser, x, sigmas, options);
}

}  // namespace headstart
