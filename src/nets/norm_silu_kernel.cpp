#include "norm_silu_kernel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "../core/clones.h"

namespace headstart::kernel {
namespace {

HEADSTART_INLINE float load(float x) { return x; }
HEADSTART_INLINE float load(Bfloat16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }
HEADSTART_INLINE void store(float& to, float x) { to = x; }
HEADSTART_INLINE void store(Bfloat16& to, float x) {  // to the nearest, ties to even
  const auto bits = std::bit_cast<std::uint32_t>(x);
  to.bits = static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

/// Per channel, u = slope * x + offset is SiLU's argument.
HEADSTART_INLINE void affine(const NormSiluShape& s, const NormSiluParameters& p, const float* mean, const float* rstd, float* slope,
                             float* offset) {
  const std::int64_t width = s.channels / s.groups;
  for (std::int64_t c = 0; c < s.channels; ++c) {
    const std::int64_t g = c / width;
    const float gain = p.scale != nullptr ? 1.0F + p.scale[c] : 1.0F;
    slope[c] = rstd[g] * p.weight[c] * gain;
    offset[c] = p.bias[c] * gain + (p.shift != nullptr ? p.shift[c] : 0.0F) - mean[g] * slope[c];
  }
}

/// exp(-u). It must not overflow: -ffast-math promises the compiler that there is no infinity. Beyond the limit silu is zero to float32
/// anyway. Only this term is limited, so that a NaN in u still reaches the result.
HEADSTART_INLINE float limited_exp(float u) { return std::exp(std::min(-u, 80.0F)); }

template <class Value>
HEADSTART_INLINE void forward(const NormSiluShape& s, const NormSiluParameters& parameters, double eps, const Value* x, float* mean,
                              float* rstd, Value* y) {
  const std::int64_t C = s.channels, width = C / s.groups;
  std::vector<float> buffer(5 * C);
  float *origin = buffer.data(), *sum = origin + C, *square = sum + C, *slope = square + C, *offset = slope + C;
  // Sums are taken about the first pixel, so that a large mean cannot cancel the variance away.
  for (std::int64_t c = 0; c < C; ++c) origin[c] = load(x[c]);
  for (std::int64_t p = 1; p < s.pixels; ++p) {
    const Value* row = x + p * C;
    for (std::int64_t c = 0; c < C; ++c) {
      const float d = load(row[c]) - origin[c];
      sum[c] += d;
      square[c] += d * d;
    }
  }
  const double n = static_cast<double>(s.pixels), total = n * static_cast<double>(width);
  for (std::int64_t g = 0; g < s.groups; ++g) {
    double m = 0, v = 0;
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) m += origin[c] * n + sum[c];
    m /= total;
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      const double shifted = origin[c] - m;
      v += square[c] + 2 * shifted * sum[c] + n * shifted * shifted;
    }
    mean[g] = static_cast<float>(m);
    rstd[g] = static_cast<float>(1.0 / std::sqrt(std::max(v / total, 0.0) + eps));
  }
  affine(s, parameters, mean, rstd, slope, offset);
  for (std::int64_t p = 0; p < s.pixels; ++p) {
    const Value* in = x + p * C;
    Value* out = y + p * C;
    for (std::int64_t c = 0; c < C; ++c) {
      const float u = slope[c] * load(in[c]) + offset[c];
      store(out[c], u / (1.0F + limited_exp(u)));
    }
  }
}

template <class Value>
HEADSTART_INLINE void backward(const NormSiluShape& s, const NormSiluParameters& parameters, const float* mean, const float* rstd,
                               const Value* x, const Value* grad_y, Value* grad_x, float* dot, float* sum) {
  const std::int64_t C = s.channels, width = C / s.groups;
  std::vector<float> buffer((4 + s.pixels) * C);  // grad_u is kept in float32 whatever the values are
  float *slope = buffer.data(), *offset = slope + C, *linear = offset + C, *constant = linear + C, *grad_u = constant + C;
  affine(s, parameters, mean, rstd, slope, offset);
  std::fill(dot, dot + C, 0.0F);
  std::fill(sum, sum + C, 0.0F);
  for (std::int64_t p = 0; p < s.pixels; ++p) {
    const Value *in = x + p * C, *gy = grad_y + p * C;
    float* gu = grad_u + p * C;
    for (std::int64_t c = 0; c < C; ++c) {
      const float value = load(in[c]), u = slope[c] * value + offset[c];
      const float e = limited_exp(u), sigmoid = 1.0F / (1.0F + e);
      // 1 - sigmoid is e * sigmoid, which at large u does not cancel.
      const float g = load(gy[c]) * sigmoid * (1.0F + u * (e * sigmoid));
      gu[c] = g;
      dot[c] += g * value;
      sum[c] += g;
    }
  }
  const float inverse = 1.0F / static_cast<float>(s.pixels * width);
  for (std::int64_t g = 0; g < s.groups; ++g) {
    float s1 = 0, s2 = 0;  // group sums of k*grad_u and k*grad_u*xhat, k = weight * (1 + scale)
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      dot[c] = rstd[g] * (dot[c] - mean[g] * sum[c]);
      const float k = parameters.weight[c] * (parameters.scale != nullptr ? 1.0F + parameters.scale[c] : 1.0F);
      s1 += k * sum[c];
      s2 += k * dot[c];
    }
    for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
      linear[c] = -rstd[g] * rstd[g] * s2 * inverse;
      constant[c] = -rstd[g] * s1 * inverse - mean[g] * linear[c];
    }
  }
  for (std::int64_t p = 0; p < s.pixels; ++p) {
    const Value* in = x + p * C;
    const float* gu = grad_u + p * C;
    Value* gx = grad_x + p * C;
    for (std::int64_t c = 0; c < C; ++c) store(gx[c], slope[c] * gu[c] + linear[c] * load(in[c]) + constant[c]);
  }
}

}  // namespace

HEADSTART_CLONES void norm_silu_forward(const NormSiluShape& shape, const NormSiluParameters& parameters, double eps, const float* x,
                                        float* mean, float* rstd, float* y) {
  forward(shape, parameters, eps, x, mean, rstd, y);
}

HEADSTART_CLONES void norm_silu_forward(const NormSiluShape& shape, const NormSiluParameters& parameters, double eps, const Bfloat16* x,
                                        float* mean, float* rstd, Bfloat16* y) {
  forward(shape, parameters, eps, x, mean, rstd, y);
}

HEADSTART_CLONES void norm_silu_backward(const NormSiluShape& shape, const NormSiluParameters& parameters, const float* mean,
                                         const float* rstd, const float* x, const float* grad_y, float* grad_x, float* dot, float* sum) {
  backward(shape, parameters, mean, rstd, x, grad_y, grad_x, dot, sum);
}

HEADSTART_CLONES void norm_silu_backward(const NormSiluShape& shape, const NormSiluParameters& parameters, const float* mean,
                                         const float* rstd, const Bfloat16* x, const Bfloat16* grad_y, Bfloat16* grad_x, float* dot,
                                         float* sum) {
  backward(shape, parameters, mean, rstd, x, grad_y, grad_x, dot, sum);
}

}  // namespace headstart::kernel
