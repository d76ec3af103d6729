#pragma once
// What a folder of pictures and a zip of them have in common.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "headstart/data/byte_source.h"
#include "headstart/data/image_stream.h"

namespace headstart {

struct Pictures {
  std::vector<std::string> names;                                      ///< below the folder or in the zip, '/' between, sorted
  std::function<std::unique_ptr<ByteSource>(std::size_t index)> open;  ///< the file of names[index]
  std::unique_ptr<ByteSource> dataset_json;                            ///< null where there is none
};

/// Whether a name ends in .png, .jpg or .jpeg, in any case.
bool is_picture_name(std::string_view name);

/// Streams the pictures; whether a file is PNG or JPEG, its content says. Holds one picture at a time.
/// @throws DataError where a file is neither, is not read as `as` asks, or has another shape than the first; and of the labels
std::unique_ptr<ImageStream> stream_pictures(Pictures pictures, PixelsAs as);

/// The labels that EDM's dataset.json gives these pictures: {"labels": [["00000/img00000000.png", 3], ...]}, or null for none.
/// @throws DataError where it is not that, or leaves out, repeats or adds a picture
std::vector<std::int64_t> read_dataset_labels(ByteSource& json, const std::vector<std::string>& names);

}  // namespace headstart
