#pragma once
// The loops over data points on raw memory. Compiled with -ffast-math (for a vectorised exp) and once per instruction set, so no argument
// may be infinite or a NaN.

#include <cstdint>

namespace headstart::kernel {

/// |a - b|^2, both [dim].
double squared_distance(const float* a, const float* b, std::int64_t dim);

/// a . b, both [dim].
double dot(const float* a, const float* b, std::int64_t dim);

/// out += weight (x - centre), all [dim].
void add_weighted(const float* x, const float* centre, float weight, std::int64_t dim, float* out);

/// values <- (values - offsets - top) / variance, n of them. @return the largest
float to_exponents(float* values, const float* offsets, float top, float variance, std::int64_t n);

/// exponents <- exp(exponents - most), zero below e^-60. @return their sum
float to_weights(float* exponents, float most, std::int64_t n);

/// The indices of values >= least, ascending. @return how many; `found` has room for n
std::int64_t at_least(const float* values, float least, std::int64_t n, std::int32_t* found);

/// The largest of n > 0 values.
float largest(const float* values, std::int64_t n);

}  // namespace headstart::kernel
