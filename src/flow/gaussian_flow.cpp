#include "headstart/flow/gaussian_flow.h"

#include <fmt/format.h>

#include <cmath>

#include "headstart/denoise/denoiser.h"
#include "headstart/error.h"
#include "headstart/moments/spectral.h"

namespace headstart {

using torch::Tensor;

Tensor gaussian_flow(const GaussianStats& stats, const Tensor& x, const SigmaStep& step) {
  require_points("gaussian_flow", x, stats.dim());
  if (!(step.from > 0) || !(step.to >= 0) || !std::isfinite(step.from) || !std::isfinite(step.to))
    throw InvalidArgument(fmt::format("[gaussian_flow] expected from > 0 and to >= 0, got {} and {}", step.from, step.to));
  const GaussianStats s = stats.to(x.options());
  const double a = step.from * step.from, b = step.to * step.to;
  const auto rescale = [&](const Tensor& lambda) { return ((lambda + b) / (lambda + a)).sqrt(); };
  return apply_spectral_about_mean(s, x, rescale(s.eigenvalues), rescale(torch::scalar_tensor(s.tail, x.options())));
}

Tensor stochastic_jump(const GaussianStats& stats, const Tensor& x, const SigmaStep& step, const Tensor& noise) {
  require_points("stochastic_jump", x, stats.dim());
  require_points("stochastic_jump", noise, stats.dim());
  if (noise.size(0) != x.size(0))
    throw InvalidArgument(fmt::format("[stochastic_jump] expected noise of shape [{}, {}]", x.size(0), x.size(1)));
  if (!(step.to >= 0) || !(step.from > step.to) || !std::isfinite(step.from))
    throw InvalidArgument(fmt::format("[stochastic_jump] expected 0 <= to < from, got from {} to {}", step.from, step.to));
  const GaussianStats s = stats.to(x.options());
  const double b = step.to * step.to, w = (step.from - step.to) * (step.from + step.to);
  const auto pull = [&](const Tensor& lambda) { return (lambda + b) / (lambda + b + w); };
  const auto spread = [&](const Tensor& lambda) { return ((lambda + b) * w / (lambda + b + w)).sqrt(); };
  const Tensor tail = torch::scalar_tensor(s.tail, x.options());
  return apply_spectral_about_mean(s, x, pull(s.eigenvalues), pull(tail)) +
         apply_spectral(s, noise.to(x.options()), spread(s.eigenvalues), spread(tail));
}

}  // namespace headstart
