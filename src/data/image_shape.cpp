#include "headstart/data/image_shape.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "headstart/error.h"

namespace headstart {

std::string to_string(const ImageShape& shape) { return fmt::format("{},{},{}", shape.channels, shape.height, shape.width); }

ImageShape parse_image_shape(const std::string& text) {
  std::array<std::int64_t, 3> sizes{};
  const char* at = text.data();
  const char* const end = at + text.size();
  std::int64_t dim = 1;
  bool good = true;
  for (std::size_t i = 0; i < sizes.size() && good; ++i) {
    if (i > 0) good = at != end && *at++ == ',';
    const auto [next, error] = std::from_chars(at, end, sizes[i]);
    // The product is checked too, so that dim() cannot overflow later.
    good = good && error == std::errc() && sizes[i] > 0 && !__builtin_mul_overflow(dim, sizes[i], &dim);
    at = next;
  }
  if (!good || at != end) {
    throw InvalidArgument(fmt::format("[parse_image_shape] expected three positive integers such as \"1,28,28\", got \"{}\"", text));
  }
  return {.channels = sizes[0], .height = sizes[1], .width = sizes[2]};
}

}  // namespace headstart
