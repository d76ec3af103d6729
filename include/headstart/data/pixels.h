#pragma once
// Between 8-bit pixels and data units, as EDM does (arXiv 2206.00364, its dataset and generate scripts).

#include <cstdint>
#include <span>
#include <vector>

namespace headstart {

/// x / 127.5 - 1 in float32: 0 is -1, 255 is 1.
inline float to_data_units(std::uint8_t pixel) { return static_cast<float>(pixel) / 127.5F - 1.0F; }

/// The same for a span. @throws InvalidArgument where the sizes differ
void to_data_units(std::span<const std::uint8_t> pixels, std::span<float> out);

/// x * 127.5 + 128, clamped to [0, 255], truncated: the inverse of to_data_units, with the rounding of EDM's pictures.
/// @throws NumericalError on a NaN or an infinity, which no picture should hide
std::vector<std::uint8_t> to_uint8(std::span<const double> values);
std::vector<std::uint8_t> to_uint8(std::span<const float> values);

}  // namespace headstart
