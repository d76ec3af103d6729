#pragma once
// PNG in and out: 8-bit grey (C = 1) and RGB (C = 3). Bytes are in C, H, W order.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "headstart/data/image_bytes.h"
#include "headstart/data/image_shape.h"

namespace headstart {

/// 8-bit grey or RGB only, unless a conversion is asked for (image_from_hwc; 16 bits are scaled to 8).
/// @throws DataError where the file is missing, empty, truncated, corrupt or not a PNG; with PixelsAs::stored, where it has alpha or
///   transparency, a palette, 16 bits or fewer than 8
ImageBytes read_png(const std::string& path, PixelsAs as = PixelsAs::stored);

/// The same from memory; `name` is what messages call it.
ImageBytes decode_png(const std::string& name, std::span<const std::byte> png, PixelsAs as = PixelsAs::stored);

/// Shape of what decode_png gives, from the first 26 bytes or more. @throws DataError as decode_png, of what the first bytes tell
ImageShape png_shape(const std::string& name, std::span<const std::byte> start, PixelsAs as = PixelsAs::stored);

/// A PNG file in memory. @throws InvalidArgument unless C is 1 or 3, sizes are positive and `chw` has C*H*W values
std::vector<std::uint8_t> encode_png(const ImageShape& shape, std::span<const std::uint8_t> chw);

/// Writes a PNG file atomically. @throws InvalidArgument as encode_png; DataError where the file cannot be written
void write_png(const std::string& path, const ImageShape& shape, std::span<const std::uint8_t> chw);

}  // namespace headstart
