#pragma once
// One fixed batch shape for everything whose rows must not depend on how they were batched.

#include <torch/types.h>

#include <functional>

#include "headstart/denoise/denoiser.h"

namespace headstart {

/// Rows a network sees at once. libtorch's results depend on the batch's shape in their last bits, so it never changes.
inline constexpr std::int64_t kMicroBatch = 16;

/// Applies `fn` ([kMicroBatch, D], [kMicroBatch, 1]) -> [kMicroBatch, E] to x [B, D] and sigma [B, 1] in pieces of kMicroBatch rows, the
/// last padded by repeating its last row; pieces run in parallel, each on one thread.
/// @return [B, E]
torch::Tensor in_micro_batches(const torch::Tensor& x, const torch::Tensor& sigma,
                               const std::function<torch::Tensor(const torch::Tensor&, const torch::Tensor&)>& fn);

/// The same for a function of the points alone.
torch::Tensor in_micro_batches(const torch::Tensor& x, const std::function<torch::Tensor(const torch::Tensor&)>& fn);

/// Any denoiser called in micro-batches: each row's result depends on that row alone. `inner` must outlive it.
class MicroBatched : public Denoiser {
 public:
  explicit MicroBatched(const Denoiser& inner) : inner_(inner) {}
  std::int64_t dim() const override { return inner_.dim(); }

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override {
    return in_micro_batches(x, sigma, [&](const auto& rows, const auto& levels) { return inner_.denoise(rows, levels.flatten()); });
  }

  const Denoiser& inner_;
};

}  // namespace headstart
