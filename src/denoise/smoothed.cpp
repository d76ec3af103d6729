#include "headstart/denoise/smoothed.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <cmath>

#include "headstart/error.h"

namespace headstart {

using torch::Tensor;

SmoothedDenoiser::SmoothedDenoiser(std::shared_ptr<const Denoiser> inner, const SmoothedOptions& o) : inner_(std::move(inner)) {
  if (!inner_) throw InvalidArgument("[SmoothedDenoiser] expected a denoiser, got none");
  if (!(o.kappa >= 0) || !std::isfinite(o.kappa))
    throw InvalidArgument(fmt::format("[SmoothedDenoiser] expected kappa >= 0, got {}", o.kappa));
  if (o.draws < 2 || o.draws % 2 != 0)
    throw InvalidArgument(fmt::format("[SmoothedDenoiser] expected an even number of draws, at least 2, got {}", o.draws));
  const Tensor half = o.kappa * torch::randn({o.draws / 2, dim()}, at::detail::createCPUGenerator(o.seed), torch::kFloat64);
  shifts_ = torch::cat({half, -half});
}

Tensor SmoothedDenoiser::evaluate(const Tensor& x, const Tensor& sigma) const {
  const Tensor shifts = shifts_.to(x.options()), levels = sigma.flatten();
  Tensor sum = torch::zeros_like(x);
  for (std::int64_t m = 0; m < shifts.size(0); ++m) sum += inner_->denoise(x + shifts[m], levels);
  return sum / shifts.size(0);
}

}  // namespace headstart
