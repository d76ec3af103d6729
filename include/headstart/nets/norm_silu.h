#pragma once
// GroupNorm, scale-shift and SiLU in one pass over channels-last memory: the operation between any two convolutions of the U-Net.

#include <torch/types.h>

namespace headstart {

/// GroupNorm's own parameters (Wu & He, arXiv 1803.08494).
struct GroupNormParameters {
  std::int64_t groups = 1;
  torch::Tensor weight, bias;  ///< [C], float32 (float64 for float64 input)
  double eps = 1e-5;
};

/// silu( groupnorm(x) * (1 + scale) + shift ).
///
/// @param x      [B, C, H, W], float32, bfloat16 or float64
/// @param scale  [B, C] and shift [B, C] of the parameters' type, or both undefined for none
/// @return       [B, C, H, W] of x's type, in channels-last memory on the CPU
///
/// On the CPU in float32 and bfloat16 it is one kernel with its own backward (no double backward) that computes in float32; elsewhere it
/// is norm_silu_plain. It exists because libtorch's group_norm is slow in channels-last memory, which in turn is what convolutions are
/// fast in, and knows no bfloat16; the bench has the ratio.
torch::Tensor norm_silu(const torch::Tensor& x, const GroupNormParameters& norm, const torch::Tensor& scale = {},
                        const torch::Tensor& shift = {});

/// The same from libtorch's own operations: the definition, and what the kernel is tested against. bfloat16 is computed in float32.
torch::Tensor norm_silu_plain(const torch::Tensor& x, const GroupNormParameters& norm, const torch::Tensor& scale = {},
                              const torch::Tensor& shift = {});

}  // namespace headstart
