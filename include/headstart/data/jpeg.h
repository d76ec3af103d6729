#pragma once
// JPEG in: grey (C = 1) and RGB (C = 3), baseline and progressive, through libjpeg-turbo.

#include <cstddef>
#include <span>
#include <string>

#include "headstart/data/image_bytes.h"

namespace headstart {

/// Strict: whatever libjpeg only warns of (a truncated file, whose rest it would leave grey; corrupt data) is an error. Embedded colour
/// profiles and the orientation are ignored.
/// @param name  what messages call it
/// @throws DataError where the bytes are truncated, corrupt or no JPEG, or the colours are neither grey nor RGB (CMYK)
ImageBytes decode_jpeg(const std::string& name, std::span<const std::byte> jpeg, PixelsAs as = PixelsAs::stored);

/// Shape of what decode_jpeg gives, from a part of the file that has all before its pixels. @throws DataError as decode_jpeg, of what the
/// part tells
ImageShape jpeg_shape(const std::string& name, std::span<const std::byte> start, PixelsAs as = PixelsAs::stored);

}  // namespace headstart
