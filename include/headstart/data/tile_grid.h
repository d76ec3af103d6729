#pragma once
// Many images as one.

#include <cstdint>
#include <span>

#include "headstart/data/image_shape.h"
#include "headstart/data/png.h"

namespace headstart {

/// Lays N images in rows of `columns` (fewer if N is less), with 2 white pixels between and around them; unused cells are white.
///
/// @param shape    shape of each image, any C
/// @param images   [N, C*H*W], N >= 1
/// @param columns  images a row, >= 1
/// @throws InvalidArgument where `images` is empty or no multiple of the image size, or columns < 1
ImageBytes tile_grid(const ImageShape& shape, std::span<const std::uint8_t> images, std::int64_t columns);

}  // namespace headstart
