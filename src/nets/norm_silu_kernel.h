#pragma once
// The loops of norm_silu on raw channels-last memory. Compiled with -ffast-math (for a vectorised exp) and once per instruction set.

#include <cstdint>

namespace headstart::kernel {

struct NormSiluShape {
  std::int64_t pixels, channels, groups;
};

/// One image. x, y [pixels, channels]; weight, bias [channels]; scale, shift [channels] or null. Writes the group's mean and 1/std
/// [groups].
void norm_silu_forward(const NormSiluShape& shape, const float* x, const float* weight, const float* bias, const float* scale,
                       const float* shift, double eps, float* mean, float* rstd, float* y);

/// One image. From grad_y to grad_x [pixels, channels] and, per channel, dot = sum grad_u * xhat and sum = sum grad_u, u being SiLU's
/// argument.
void norm_silu_backward(const NormSiluShape& shape, const float* x, const float* weight, const float* bias, const float* scale,
                        const float* shift, const float* mean, const float* rstd, const float* grad_y, float* grad_x, float* dot,
                        float* sum);

}  // namespace headstart::kernel
