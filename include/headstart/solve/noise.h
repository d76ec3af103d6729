#pragma once
// The noise a seed stands for.

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "headstart/data/image_shape.h"

namespace headstart {

/// Standard normal noise, one row a seed: float32 `randn` of shape [C, H, W] from libtorch's CPU generator seeded with seed mod 2^32, then
/// float64. So a seed's noise is the one PyTorch and EDM's sampler give it, and never depends on the batch.
/// @param seeds  each >= 0. @throws InvalidArgument on a negative seed
/// @return       [B, D] float64
torch::Tensor noise_of(const std::vector<std::int64_t>& seeds, const ImageShape& shape);

}  // namespace headstart
