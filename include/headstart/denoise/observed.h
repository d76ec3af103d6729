#pragma once
// Watching a denoiser at work, so that what a solver saw on its way can be recorded without the solver knowing.

#include <functional>

#include "headstart/denoise/denoiser.h"

namespace headstart {

/// Told of each evaluation: x [B, D], its sigma [B], and the denoised estimate [B, D].
using OnEvaluation = std::function<void(const torch::Tensor& x, const torch::Tensor& sigma, const torch::Tensor& denoised)>;

/// Any denoiser, with a callback after each evaluation made through this wrapper. The callback may be empty; `inner` must outlive it.
class Observed : public Denoiser {
 public:
  Observed(const Denoiser& inner, OnEvaluation tell) : inner_(inner), tell_(std::move(tell)) {}
  std::int64_t dim() const override { return inner_.dim(); }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override {
    const torch::Tensor levels = sigma.flatten();
    torch::Tensor denoised = inner_.denoise(x, levels);
    if (tell_) tell_(x, levels, denoised);
    return denoised;
  }

  const Denoiser& inner_;
  OnEvaluation tell_;
};

}  // namespace headstart
