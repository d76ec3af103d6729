#include "headstart/data/pixels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "headstart/error.h"

namespace headstart {

namespace {

template <typename T>
std::vector<std::uint8_t> quantise(std::span<const T> values) {
  std::vector<std::uint8_t> pixels(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) throw NumericalError(fmt::format("[to_uint8] expected finite values, got {} at index {}", values[i], i));
    // In the precision of the values, as torch does it; adding 128 before truncating rounds to the nearest pixel.
    pixels[i] = static_cast<std::uint8_t>(std::clamp(values[i] * T(127.5) + T(128), T(0), T(255)));
  }
  return pixels;
}

}  // namespace

void to_data_units(std::span<const std::uint8_t> pixels, std::span<float> out) {
  if (pixels.size() != out.size()) {
    throw InvalidArgument(fmt::format("[to_data_units] expected room for {} values, got {}", pixels.size(), out.size()));
  }
  // A table: one load instead of a division for each of the hundreds of millions of pixels of a data set.
  static const std::array<float, 256> kTable = [] {
    std::array<float, 256> table{};
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = to_data_units(static_cast<std::uint8_t>(i));
    return table;
  }();
  for (std::size_t i = 0; i < pixels.size(); ++i) out[i] = kTable[pixels[i]];
}

std::vector<std::uint8_t> to_uint8(std::span<const double> values) { return quantise(values); }
std::vector<std::uint8_t> to_uint8(std::span<const float> values) { return quantise(values); }

}  // namespace headstart
