#include "norm_silu_kernel.h"

#include <algorithm>
#include <cmath>
#include <vector>

// One binary for every x86-64: the loader picks the widest version the machine has. The levels are instruction sets; a processor's name
// (arch=haswell) would match that very processor only and leave every newer one with the slowest version.
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define HEADSTART_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HEADSTART_CLONES
#endif

namespace headstart::kernel {
namespace {

/// Per channel, u = slope * x + offset is SiLU's argument.
void affine(const NormSiluShape& s, const float* weight, const float* bias, const float* scale, const float* shift, const float* mean,
            const float* rstd, float* slope, float* offset) {
  const std::int64_t width = s.channels / s.groups;
  for (std::int64_t c = 0; c < s.channels; ++c) {
    const std::int64_t g = c / width;
    const float gain = scale != nullptr ? 1.0F + scale[c] : 1.0F;
    slope[c] = rstd[g] * weight[c] * gain;
    offset[c] = bias[c] * gain + (shift != nullptr ? shift[c] : 0.0F) - mean[g] * slope[c];
  }
}

/// exp(-u). It must not overflow: -ffast-math promises the compiler that there is no infinity. Beyond the limit silu is zero to float32
/// anyway. Only this term is limited, so that a NaN in u still reaches the result.
inline float limited_exp(float u) { return std::exp(std::min(-u, 80.0F)); }

}  // namespace

HEADSTART_CLONES
void norm_silu_forward(const NormSiluShape& s, const float* x, const float* weight, const float* bias, const float* scale,
                       const float* shift, double eps, float* mean, float* rstd, float* y) {
  const std::int64_t C = s.channels, width = C / s.groups;
  std::vector<float> buffer(4 * C);
  float *sum = buffer.data(), *square = sum + C, *slope = square + C, *offset = slope + C;
  // Sums are taken about the first pixel, so that a large mean cannot cancel the variance away.
  for (std::int64_t p = 1; p < s.pixels; ++p) {
    const float* row = x + p * C;
    for (std::int64_t c = 0; c < C; ++c) {
      const float d = row[c] - x[c];
      sum[c] += d;
      square[c] += d * d;
    }
  }
  const double n = static_cast<double>(s.pixels), total = n * static_cast<double>(width);
  for (std::int64_t g = 0; g < s.groups; ++g) {
    double m = 0, v = 0;
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) m += x[c] * n + sum[c];
    m /= total;
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      const double shifted = x[c] - m;
      v += square[c] + 2 * shifted * sum[c] + n * shifted * shifted;
    }
    mean[g] = static_cast<float>(m);
    rstd[g] = static_cast<float>(1.0 / std::sqrt(std::max(v / total, 0.0) + eps));
  }
  affine(s, weight, bias, scale, shift, mean, rstd, slope, offset);
  for (std::int64_t p = 0; p < s.pixels; ++p) {
    const float* in = x + p * C;
    float* out = y + p * C;
    for (std::int64_t c = 0; c < C; ++c) {
      const float u = slope[c] * in[c] + offset[c];
      out[c] = u / (1.0F + limited_exp(u));
    }
  }
}

HEADSTART_CLONES
void norm_silu_backward(const NormSiluShape& s, const float* x, const float* weight, const float* bias, const float* scale,
                        const float* shift, const float* mean, const float* rstd, const float* grad_y, float* grad_x, float* dot,
                        float* sum) {
  const std::int64_t C = s.channels, width = C / s.groups;
  std::vector<float> buffer(4 * C);
  float *slope = buffer.data(), *offset = slope + C, *linear = offset + C, *constant = linear + C;
  affine(s, weight, bias, scale, shift, mean, rstd, slope, offset);
  std::fill(dot, dot + C, 0.0F);
  std::fill(sum, sum + C, 0.0F);
  for (std::int64_t p = 0; p < s.pixels; ++p) {
    const float *in = x + p * C, *gy = grad_y + p * C;
    float* gu = grad_x + p * C;
    for (std::int64_t c = 0; c < C; ++c) {
      const float u = slope[c] * in[c] + offset[c];
      const float e = limited_exp(u), sigmoid = 1.0F / (1.0F + e);
      // 1 - sigmoid is e * sigmoid, which at large u does not cancel.
      const float g = gy[c] * sigmoid * (1.0F + u * (e * sigmoid));
      gu[c] = g;
      dot[c] += g * in[c];
      sum[c] += g;
    }
  }
  const float inverse = 1.0F / static_cast<float>(s.pixels * width);
  for (std::int64_t g = 0; g < s.groups; ++g) {
    float s1 = 0, s2 = 0;  // group sums of k*grad_u and k*grad_u*xhat, k = weight * (1 + scale)
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      dot[c] = rstd[g] * (dot[c] - mean[g] * sum[c]);
      const float k = weight[c] * (scale != nullptr ? 1.0F + scale[c] : 1.0F);
      s1 += k * sum[c];
      s2 += k * dot[c];
    }
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      linear[c] = -rstd[g] * rstd[g] * s2 * inverse;
      constant[c] = -rstd[g] * s1 * inverse - mean[g] * linear[c];
    }
  }
  for (std::int64_t p = 0; p < s.pixels; ++p) {
    const float* in = x + p * C;
    float* gx = grad_x + p * C;
    for (std::int64_t c = 0; c < C; ++c) gx[c] = slope[c] * gx[c] + linear[c] * in[c] + constant[c];
  }
}

}  // namespace headstart::kernel
