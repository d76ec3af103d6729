#pragma once
// One decoded picture, and how pictures of other kinds become one that is asked for.

#include <cstdint>
#include <span>
#include <vector>

#include "headstart/data/image_shape.h"

namespace headstart {

/// An 8-bit image, values in C, H, W order.
struct ImageBytes {
  ImageShape shape;
  std::vector<std::uint8_t> chw;
};

/// What pictures are read as. Unless grey or RGB is asked for, nothing is converted: whatever is not 8-bit grey or RGB is refused.
enum class PixelsAs { stored, grey, rgb };

/// Channels of a picture of 1 to 4 stored channels (2 and 4 have alpha) when it is read so.
constexpr std::int64_t channels_as(PixelsAs as, std::int64_t stored) {
  if (as == PixelsAs::stored) return stored >= 3 ? 3 : 1;
  return as == PixelsAs::grey ? 1 : 3;
}

/// Grey of a colour, with the weights of Rec. 601: 0.299 R + 0.587 G + 0.114 B, rounded to the nearest.
constexpr std::uint8_t grey_of(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  return static_cast<std::uint8_t>((299 * red + 587 * green + 114 * blue + 500) / 1000);
}

/// A picture from pixels that are grey, grey and alpha, RGB, or RGB and alpha.
///
/// Alpha is composited on white, in the stored values (no gamma); colours become grey by grey_of, grey becomes RGB by repetition. With
/// PixelsAs::stored only alpha goes.
/// @param stored  size, and 1 to 4 channels
/// @param hwc     [H, W, channels]
ImageBytes image_from_hwc(const ImageShape& stored, std::span<const std::uint8_t> hwc, PixelsAs as);

}  // namespace headstart
