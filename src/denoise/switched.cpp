#include "headstart/denoise/switched.h"

#include <fmt/format.h>

#include "headstart/error.h"

namespace headstart {

using torch::Tensor;

Switched::Switched(const Denoiser& above, const Denoiser& below, double sigma_switch)
    : above_(above), below_(below), sigma_switch_(sigma_switch) {
  if (above.dim() != below.dim())
    throw InvalidArgument(fmt::format("[Switched] expected denoisers of one dimension, got {} and {}", above.dim(), below.dim()));
}

Tensor Switched::evaluate(const Tensor& x, const Tensor& sigma) const {
  const Tensor levels = sigma.flatten(), high = levels > sigma_switch_;
  Tensor denoised = torch::empty_like(x);
  for (const auto& [denoiser, theirs] : {std::pair{&above_, high}, {&below_, high.logical_not()}}) {
    const Tensor rows = theirs.nonzero().flatten();
    if (rows.numel() == 0) continue;
    denoised.index_copy_(0, rows, denoiser->denoise(x.index_select(0, rows), levels.index_select(0, rows)));
  }
  return denoised;
}

}  // namespace headstart
