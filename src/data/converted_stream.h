#pragma once
// Grey as RGB and RGB as grey, for the formats that are arrays of pixels. Folders and zips convert as they decode.

#include <memory>

#include "headstart/data/image_stream.h"

namespace headstart {

/// The stream itself where it is of that kind already.
/// @param stream  of 8-bit grey or RGB images
std::unique_ptr<ImageStream> converted(std::unique_ptr<ImageStream> stream, PixelsAs as);

}  // namespace headstart
