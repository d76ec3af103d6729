#pragma once
// The loops of norm_silu on raw channels-last memory. Compiled with -ffast-math (for a vectorised exp) and once per instruction set.

#include <cstdint>

namespace headstart::kernel {

/// The upper half of a float32. Only a place to keep values: the loops compute in float32.
struct Bfloat16 {
  std::uint16_t bits;
};

struct NormSiluShape {
  std::int64_t pixels, channels, groups;
};

/// The layer's parameters for one image: weight and bias [channels] are GroupNorm's own; scale and shift [channels] or null.
struct NormSiluParameters {
  const float *weight, *bias, *scale, *shift;
};

/// One image: x to y [pixels, channels]. Writes the group's mean and 1/std [groups].
void norm_silu_forward(const NormSiluShape& shape, const NormSiluParameters& parameters, double eps, const float* x, float* mean,
                       float* rstd, float* y);
void norm_silu_forward(const NormSiluShape& shape, const NormSiluParameters& parameters, double eps, const Bfloat16* x, float* mean,
                       float* rstd, Bfloat16* y);

/// One image. From grad_y to grad_x [pixels, channels] and, per channel, dot = sum grad_u * xhat and sum = sum grad_u, u being SiLU's
/// argument.
void norm_silu_backward(const NormSiluShape& shape, const NormSiluParameters& parameters, const float* mean, const float* rstd,
                        const float* x, const float* grad_y, float* grad_x, float* dot, float* sum);
void norm_silu_backward(const NormSiluShape& shape, const NormSiluParameters& parameters, const float* mean, const float* rstd,
                        const Bfloat16* x, const Bfloat16* grad_y, Bfloat16* grad_x, float* dot, float* sum);

}  // namespace headstart::kernel
