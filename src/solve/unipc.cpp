#include "headstart/solve/unipc.h"

#include "split.h"

namespace headstart {

using torch::Tensor;

Tensor unipc(const char* name, Growth growth, const Split& split, const Denoiser& denoiser, const Tensor& x,
             const std::vector<double>& sigmas, const SolveOptions& options) {
  const std::size_t order = order_of(name, options, 3, 3);
  const PointPart own;
  Residuals residuals(split, own, order + 1);  // the newest is that of the level where the state is
  Tensor now;                                  // the estimate there
  return march(name, denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    const SigmaStep step{.from = sigmas[i], .to = sigmas[i + 1]};
    if (i == 0) {
      now = denoiser.denoise(state, step.from);
      residuals.push(state, step.from, now);
    }
    if (step.to == 0) return now;
    const LinearPart& part = residuals.part(step.to);
    const History& past = residuals.past(step.to);
    const Tensor base = part.flow(state, step);
    // The paper's theorem 3.1 solves for weights that make every further difference count as its polynomial's integral does. With one
    // difference any weight near 1/2 gives order 2; there, and only there, B(h) is more than a factor that cancels.
    const auto with_one_difference = [&](const Tensor& start, const Tensor& half) {
      return growth == Growth::exponential ? part.response({start + half}, step)
                                           : part.response({start}, step) + std::log(step.from / step.to) * half;
    };
    const auto integral = [&](std::size_t points) { return part.response(through(places(past, points, step), past), step); };

    const std::size_t k = order_at(i, order, sigmas, options);
    const Tensor start = past.value(0);
    const Tensor predicted = base + (k == 2 ? with_one_difference(start, extrapolated(past, step) - start) : integral(k));
    if (i + 2 == sigmas.size()) return predicted;
    now = denoiser.denoise(predicted, step.to);
    residuals.push(predicted, step.to, now);
    return base + (k == 1 ? with_one_difference(start, 0.5 * (past.value(0) - start)) : integral(k + 1));
  });
}

Tensor sample_unipc_bh1(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return unipc("sample_unipc_bh1", Growth::linear, {}, denoiser, x, sigmas, options);
}

Tensor sample_unipc_bh2(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return unipc("sample_unipc_bh2", Growth::exponential, {}, denoiser, x, sigmas, options);
}

}  // namespace headstart
