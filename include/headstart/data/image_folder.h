#pragma once
// A folder of PNG files as a data set.

#include <memory>
#include <string>

#include "headstart/data/image_stream.h"

namespace headstart {

/// Streams the `.png` files (any case) below `folder`, recursively, sorted by path; other files are ignored. No labels.
///
/// Opening reads the first bytes of every file, so that an image of another shape is met now
/// and not at the end of a long run: N small reads.
/// @throws DataError where the folder is missing or holds no PNG file, where a file is not one
///   read_png takes, or where an image has another shape than the first
///   (names the file)
std::unique_ptr<ImageStream> open_image_folder(const std::string& folder);

}  // namespace headstart
