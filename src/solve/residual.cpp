#include "headstart/solve/residual.h"

#include <utility>

#include "march.h"

namespace headstart {

using torch::Tensor;

Solver residual_dpmpp_2m(std::shared_ptr<const LinearPart> part, double sigma_c) {
  if (!(sigma_c >= 0)) throw InvalidArgument(fmt::format("[residual_dpmpp_2m] expected sigma_c >= 0, got {}", sigma_c));
  return [part = std::move(part), sigma_c](const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas,
                                           const SolveOptions& options) {
    History denoised(2), residuals(2);  // over u = -ln sigma
    return march("residual_dpmpp_2m", denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
      const double from = sigmas[i], to = sigmas[i + 1], u = -std::log(from);
      denoised.push(u, denoiser.denoise(state, from));
      if (to == 0) return denoised.value(0);
      const double h = std::log(from / to);
      const bool second = order_at(i, 2, sigmas, options) == 2;
      const auto ahead = [&](const History& past) { return second ? extrapolated(past, h) : past.value(0); };
      if (to < sigma_c) return relaxed(state, ahead(denoised), h);
      residuals.push(u, denoised.value(0) - part->denoise(state, from));
      return part->flow(state, {.from = from, .to = to}) + part->response(ahead(residuals), {.from = from, .to = to});
    });
  };
}

}  // namespace headstart
