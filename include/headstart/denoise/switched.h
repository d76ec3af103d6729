#pragma once
// One denoiser at high noise, another at low noise.

#include "headstart/denoise/denoiser.h"

namespace headstart {

/// `above` at levels above sigma_switch, `below` at all others; each is called only where some row needs it, with those rows. Both must
/// outlive it.
class Switched : public Denoiser {
 public:
  /// @throws InvalidArgument where the two are of different dimensions
  Switched(const Denoiser& above, const Denoiser& below, double sigma_switch);
  std::int64_t dim() const override { return below_.dim(); }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override;

  const Denoiser& above_;
  const Denoiser& below_;
  double sigma_switch_;
};

}  // namespace headstart
