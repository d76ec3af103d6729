#pragma once
// PNG in and out: 8-bit grey (C = 1) and RGB (C = 3). Bytes are in C, H, W order.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "headstart/data/image_shape.h"

namespace headstart {

/// An 8-bit image, values in C, H, W order.
struct ImageBytes {
  ImageShape shape;
  std::vector<std::uint8_t> chw;
};

/// Strict: 8-bit grey or RGB only.
/// @throws DataError where the file is missing, empty, truncated, corrupt or not a PNG; where it has alpha or transparency, a palette,
///   16 bits or fewer than 8, all of which are converted only on request
ImageBytes read_png(const std::string& path);

/// The same from memory; `name` is what messages call it.
ImageBytes decode_png(const std::string& name, std::span<const std::byte> png);

/// Shape from the first bytes of the file, without decoding it. @throws DataError as read_png, of what the first bytes tell
ImageShape read_png_shape(const std::string& path);

/// A PNG file in memory. @throws InvalidArgument unless C is 1 or 3, sizes are positive and `chw` has C*H*W values
std::vector<std::uint8_t> encode_png(const ImageShape& shape, std::span<const std::uint8_t> chw);

/// Writes a PNG file atomically. @throws InvalidArgument as encode_png; DataError where the file cannot be written
void write_png(const std::string& path, const ImageShape& shape, std::span<const std::uint8_t> chw);

}  // namespace headstart
