#pragma once
// Counting evaluations, so that every NFE that is reported was counted and not computed.

#include <atomic>

#include "headstart/denoise/denoiser.h"

namespace headstart {

/// Any denoiser, with a count of the calls made through this wrapper. Thread-safe; `inner` must outlive it.
class Counted : public Denoiser {
 public:
  explicit Counted(const Denoiser& inner) : inner_(inner) {}
  std::int64_t dim() const override { return inner_.dim(); }
  std::int64_t nfe() const { return calls_; }
  void reset() { calls_ = 0; }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override {
    ++calls_;
    return inner_.denoise(x, sigma.flatten());
  }

  const Denoiser& inner_;
  mutable std::atomic<std::int64_t> calls_{0};
};

}  // namespace headstart
