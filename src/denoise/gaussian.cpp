#include "headstart/denoise/gaussian.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "headstart/error.h"
#include "headstart/moments/spectral.h"

namespace headstart {

using torch::Tensor;

IsotropicDenoiser::IsotropicDenoiser(Tensor mean, double variance) : mean_(std::move(mean)), variance_(variance) {
  if (mean_.dim() != 1)
    throw InvalidArgument(fmt::format("[IsotropicDenoiser] expected a mean of shape [D], got {} dimensions", mean_.dim()));
  if (!(variance >= 0)) throw InvalidArgument(fmt::format("[IsotropicDenoiser] expected variance >= 0, got {}", variance));
}

Tensor IsotropicDenoiser::evaluate(const Tensor& x, const Tensor& sigma) const {
  const Tensor mean = mean_.to(x.options());
  return mean + variance_ / (variance_ + sigma.square()) * (x - mean);
}

GaussianDenoiser::GaussianDenoiser(GaussianStats stats) : stats_(std::move(stats)) {}

const GaussianStats& GaussianDenoiser::single() const {
  std::call_once(single_->made, [this] { single_->stats = stats_.to(torch::kFloat32); });
  return single_->stats;
}

Tensor GaussianDenoiser::evaluate(const Tensor& x, const Tensor& sigma) const {
  const GaussianStats s = (x.scalar_type() == torch::kFloat32 ? single() : stats_).to(x.options());
  const Tensor variance = sigma.square();
  const auto shrink = [&](const auto& lambda) { return lambda / (lambda + variance); };
  return apply_spectral_about_mean(s, x, shrink(s.eigenvalues), shrink(s.tail));
}

Tensor gaussian_log_density(const GaussianStats& stats, const Tensor& x, const Tensor& sigma) {
  require_points("gaussian_log_density", x, stats.dim());
  if (sigma.numel() != 1 && (sigma.dim() != 1 || sigma.size(0) != x.size(0)))
    throw InvalidArgument(
        fmt::format("[gaussian_log_density] expected sigma to be a scalar or of shape [{}], got {} values", x.size(0), sigma.numel()));
  const GaussianStats s = stats.to(x.options());
  const Tensor variance = sigma.to(x.options()).square().reshape({-1, 1});
  const double rest = static_cast<double>(s.dim() - s.rank());
  const Tensor modes = s.eigenvalues + variance, tail = s.tail + variance;  // [B or 1, R], [B or 1, 1]
  if ((sigma < 0).any().item<bool>() || !(modes > 0).all().item<bool>() || (rest > 0 && !(tail > 0).all().item<bool>()))
    throw InvalidArgument("[gaussian_log_density] expected sigma >= 0 and Sigma + sigma^2 I not singular");
  const Tensor y = x - s.mean;
  const Tensor coordinates = y.mm(s.basis).square();
  Tensor quadratic = (coordinates / modes).sum(1);
  Tensor log_det = modes.log().sum(1);
  if (rest > 0) {  // (x-m)^T C^-1 (x-m) outside the basis, from |x-m|^2 minus what lies inside
    quadratic = quadratic + ((y.square().sum(1, true) - coordinates.sum(1, true)) / tail).squeeze(1);
    log_det = log_det + rest * tail.log().squeeze(1);
  }
  return -0.5 * (static_cast<double>(s.dim()) * std::log(2 * std::numbers::pi) + log_det + quadratic);
}

}  // namespace headstart
