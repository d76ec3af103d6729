#include "headstart/flow/linear_part.h"

#include <cmath>

#include "headstart/denoise/micro_batch.h"
#include "headstart/flow/teleport.h"
#include "headstart/moments/spectral.h"

namespace headstart {

using torch::Tensor;

Tensor GaussianPart::denoise(const Tensor& x, double sigma) const { return MicroBatched(gaussian_).denoise(x, sigma); }

Tensor GaussianPart::flow(const Tensor& x, const SigmaStep& step) const { return teleport(gaussian_.stats(), x, step.from, step.to); }

Tensor GaussianPart::response(const Tensor& residual, const SigmaStep& step) const {
  const double a = step.from * step.from, h = std::log(step.from / step.to);
  const auto gain = [=](const Tensor& lambda) {
    const Tensor g = a / (lambda + a);
    return -(-g * h).expm1() / g;
  };
  const GaussianStats& s = gaussian_.stats();
  const Tensor modes = gain(s.eigenvalues), tail = gain(torch::scalar_tensor(s.tail, torch::kFloat64));
  return in_micro_batches(residual, torch::empty({residual.size(0), 1}, residual.options()),
                          [&](const Tensor& rows, const Tensor&) { return apply_spectral(s, rows, modes, tail); });
}

}  // namespace headstart
