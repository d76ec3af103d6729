#include "headstart/denoise/denoiser.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "headstart/error.h"

namespace headstart {

using torch::Tensor;

void require_points(const char* function, const Tensor& x, std::int64_t dim) {
  if (!x.defined() || x.dim() != 2 || x.size(1) != dim)
    throw InvalidArgument(fmt::format("[{}] expected x of shape [B, {}], got [{}]", function, dim,
                                      x.defined() ? fmt::format("{}", fmt::join(x.sizes().vec(), ", ")) : "undefined"));
  if (x.scalar_type() != torch::kFloat32 && x.scalar_type() != torch::kFloat64)
    throw InvalidArgument(fmt::format("[{}] expected x in float32 or float64, got {}", function, c10::toString(x.scalar_type())));
}

Tensor Denoiser::denoise(const Tensor& x, const Tensor& sigma) const {
  require_points("denoise", x, dim());
  if (sigma.numel() != 1 && (sigma.dim() != 1 || sigma.size(0) != x.size(0)))
    throw InvalidArgument(
        fmt::format("[denoise] expected sigma to be a scalar or of shape [{}], got [{}]", x.size(0), fmt::join(sigma.sizes().vec(), ", ")));
  if (!(sigma > 0).all().item<bool>() || !sigma.isfinite().all().item<bool>()) throw InvalidArgument("[denoise] expected finite sigma > 0");
  const torch::NoGradGuard no_grad;
  if (x.size(0) == 0) return x.clone();
  return evaluate(x.detach(), sigma.detach().to(x.options()).reshape({-1, 1}).expand({x.size(0), 1}));
}

Tensor Denoiser::denoise(const Tensor& x, double sigma) const { return denoise(x, torch::scalar_tensor(sigma, torch::kFloat64)); }

Tensor score(const Denoiser& denoiser, const Tensor& x, const Tensor& sigma) {
  const Tensor column = sigma.to(x.options()).reshape({-1, 1});
  return (denoiser.denoise(x, sigma) - x) / column.square();
}

}  // namespace headstart
