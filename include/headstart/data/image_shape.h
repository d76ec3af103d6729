#pragma once
// Channels, height, width: how a flat vector of D numbers is an image (order C, H, W).

#include <cstdint>
#include <string>

namespace headstart {

struct ImageShape {
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;

  std::int64_t dim() const { return channels * height * width; }
  bool operator==(const ImageShape&) const = default;
};

/// "1,28,28", the form used in metadata.
std::string to_string(const ImageShape& shape);

/// The inverse of to_string. @throws InvalidArgument unless `text` is three positive integers separated by commas.
ImageShape parse_image_shape(const std::string& text);

}  // namespace headstart
