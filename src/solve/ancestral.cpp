#include "headstart/solve/ancestral.h"

#include "march.h"

namespace headstart {

using torch::Tensor;

Tensor sample_ddpm(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return march("sample_ddpm", denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    const double from = sigmas[i], to = sigmas[i + 1], ratio = to / from;
    Tensor now = denoiser.denoise(state, from);
    if (to == 0) return now;
    return now + ratio * ratio * (state - now) + to * std::sqrt(1 - ratio * ratio) * next_noise("sample_ddpm", options);
  });
}

}  // namespace headstart
