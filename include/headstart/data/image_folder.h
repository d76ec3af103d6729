#pragma once
// PNG and JPEG files as a data set: a folder of them, or a zip of them as EDM's dataset_tool.py makes it.

#include <memory>
#include <string>

#include "headstart/data/image_stream.h"

namespace headstart {

/// Streams the `.png`, `.jpg` and `.jpeg` files (any case) below `folder`, recursively, sorted by path; other files are ignored.
/// Labels are those of `dataset.json` in the folder, {"labels": [["00000/img00000000.png", 3], ...]}, where there is one and they are not
/// null. Whether a file is PNG or JPEG, its content says.
///
/// Opening reads the first bytes of every file, so that an image of another shape is met now
/// and not at the end of a long run: N small reads.
/// @throws DataError where the folder is missing or holds no such file, where a file is not one decode_png or decode_jpeg takes, where an
///   image has another shape than the first (names the file and both shapes), or where dataset.json does not give every image a label
std::unique_ptr<ImageStream> open_image_folder(const std::string& folder, PixelsAs as = PixelsAs::stored);

/// The same for the members of a zip, which are inflated one by one. @throws DataError also where the zip is damaged
std::unique_ptr<ImageStream> open_image_zip(const std::string& path, PixelsAs as = PixelsAs::stored);

}  // namespace headstart
