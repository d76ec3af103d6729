#pragma once
// The noise a seed stands for.

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "headstart/data/image_shape.h"

namespace headstart {

/// Standard normal noise of each seed, draw after draw: float32 `randn` of shape [C, H, W] from libtorch's CPU generator seeded with seed
/// mod 2^32, then float64. So a seed's first noise is the one PyTorch and EDM's sampler give it, and none depends on the batch.
class SeededNoise {
 public:
  /// @param seeds  each >= 0. @throws InvalidArgument on a negative seed
  SeededNoise(const std::vector<std::int64_t>& seeds, const ImageShape& shape);

  /// The next noise, one row a seed: [B, D] float64.
  torch::Tensor next();

 private:
  std::vector<at::Generator> generators_;
  ImageShape shape_;
};

/// The first noise of each seed, [B, D] float64.
torch::Tensor noise_of(const std::vector<std::int64_t>& seeds, const ImageShape& shape);

}  // namespace headstart
