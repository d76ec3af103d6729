#pragma once
// GroupNorm, scale-shift and SiLU in one pass over channels-last memory: the operation between any two convolutions of the U-Net.

#include <torch/types.h>

namespace headstart {

/// silu( groupnorm(x) * (1 + scale) + shift ), groupnorm with affine weight and bias (Wu & He, arXiv 1803.08494).
///
/// @param x       [B, C, H, W]
/// @param weight  [C], bias [C]: GroupNorm's own
/// @param scale   [B, C] and shift [B, C], or both undefined for none
/// @return        [B, C, H, W], in channels-last memory on the CPU
///
/// On the CPU in float32 it is one kernel with its own backward (no double backward); elsewhere it is norm_silu_plain. It exists because
/// libtorch's group_norm is slow in channels-last memory, which in turn is what convolutions are fast in; the bench has the ratio.
torch::Tensor norm_silu(const torch::Tensor& x, std::int64_t groups, const torch::Tensor& weight, const torch::Tensor& bias,
                        const torch::Tensor& scale = {}, const torch::Tensor& shift = {});

/// The same from libtorch's own operations: the definition, and what the kernel is tested against.
torch::Tensor norm_silu_plain(const torch::Tensor& x, std::int64_t groups, const torch::Tensor& weight, const torch::Tensor& bias,
                              const torch::Tensor& scale = {}, const torch::Tensor& shift = {});

inline constexpr double kGroupNormEps = 1e-5;

}  // namespace headstart
