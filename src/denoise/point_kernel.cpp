#include "point_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../core/clones.h"

namespace headstart::kernel {
namespace {

constexpr std::int64_t kBlock = 64;  // values looked at together

/// A vector register, or several where they are shorter.
using Lanes __attribute__((vector_size(64), aligned(4), may_alias)) = float;
constexpr std::int64_t kLanes = sizeof(Lanes) / sizeof(float);

HEADSTART_INLINE double total(const Lanes* sums) {
  const Lanes lanes = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double sum = 0;
  for (std::int64_t j = 0; j < kLanes; ++j) sum += lanes[j];
  return sum;
}

constexpr float kNothing = -60;  // e^-60 times any number of points is nothing; libmvec is slow on results that are not normal numbers

}  // namespace

HEADSTART_CLONES double squared_distance(const float* a, const float* b, std::int64_t dim) {
  // Four sums at once, as an addition takes four cycles; and short sums keep their digits.
  Lanes sums[4] = {};
  std::int64_t k = 0;
  for (; k + 4 * kLanes <= dim; k += 4 * kLanes) {
    for (std::int64_t j = 0; j < 4; ++j) {
      const Lanes d = *reinterpret_cast<const Lanes*>(a + k + j * kLanes) - *reinterpret_cast<const Lanes*>(b + k + j * kLanes);
      sums[j] += d * d;
    }
  }
  double sum = total(sums);
  for (; k < dim; ++k) sum += (a[k] - b[k]) * (a[k] - b[k]);
  return sum;
}

HEADSTART_CLONES double dot(const float* a, const float* b, std::int64_t dim) {
  Lanes sums[4] = {};
  std::int64_t k = 0;
  for (; k + 4 * kLanes <= dim; k += 4 * kLanes) {
    for (std::int64_t j = 0; j < 4; ++j)
      sums[j] += *reinterpret_cast<const Lanes*>(a + k + j * kLanes) * *reinterpret_cast<const Lanes*>(b + k + j * kLanes);
  }
  double sum = total(sums);
  for (; k < dim; ++k) sum += a[k] * b[k];
  return sum;
}

HEADSTART_CLONES void add_weighted(const float* x, const float* centre, float weight, std::int64_t dim, float* out) {
  for (std::int64_t k = 0; k < dim; ++k) out[k] += weight * (x[k] - centre[k]);
}

HEADSTART_CLONES float to_exponents(float* values, const float* offsets, float top, float variance, std::int64_t n) {
  float most = std::numeric_limits<float>::lowest();
  const float precision = 1 / variance;
  for (std::int64_t i = 0; i < n; ++i) {
    values[i] = (values[i] - offsets[i] - top) * precision;
    most = std::max(most, values[i]);
  }
  return most;
}

HEADSTART_CLONES float to_weights(float* exponents, float most, std::int64_t n) {
  float sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float e = exponents[i] - most;
    const float weight = std::exp(std::max(e, kNothing));
    exponents[i] = e > kNothing ? weight : 0.0F;
    sum += exponents[i];
  }
  return sum;
}

HEADSTART_CLONES std::int64_t at_least(const float* values, float least, std::int64_t n, std::int32_t* found) {
  std::int64_t count = 0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, n);
    float most = values[begin];
    for (std::int64_t i = begin + 1; i < end; ++i) most = std::max(most, values[i]);
    if (most < least) continue;  // so it is for most blocks
    for (std::int64_t i = begin; i < end; ++i) {
      found[count] = static_cast<std::int32_t>(i);
      count += static_cast<std::int64_t>(values[i] >= least);
    }
  }
  return count;
}

HEADSTART_CLONES float largest(const float* values, std::int64_t n) {
  float most = values[0];
  for (std::int64_t i = 1; i < n; ++i) most = std::max(most, values[i]);
  return most;
}

}  // namespace headstart::kernel
