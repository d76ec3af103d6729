#include "headstart/data/tile_grid.h"

#include <fmt/format.h>

#include <algorithm>

#include "headstart/error.h"

namespace headstart {

ImageBytes tile_grid(const ImageShape& shape, std::span<const std::uint8_t> images, std::int64_t columns) {
  const std::int64_t dim = shape.dim();
  if (dim < 1 || images.empty() || images.size() % static_cast<std::size_t>(dim) != 0) {
    throw InvalidArgument(fmt::format("[tile_grid] expected N >= 1 images of shape {}, got {} values", to_string(shape), images.size()));
  }
  if (columns < 1) throw InvalidArgument(fmt::format("[tile_grid] expected columns >= 1, got {}", columns));

  constexpr std::int64_t kPadding = 2;
  const std::int64_t count = static_cast<std::int64_t>(images.size()) / dim;
  columns = std::min(columns, count);
  const std::int64_t rows = (count + columns - 1) / columns;
  ImageBytes grid{.shape = {.channels = shape.channels,
                            .height = rows * (shape.height + kPadding) + kPadding,
                            .width = columns * (shape.width + kPadding) + kPadding},
                  .chw = {}};
  grid.chw.assign(static_cast<std::size_t>(grid.shape.dim()), 255);

  auto from = images.begin();
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t top = n / columns * (shape.height + kPadding) + kPadding;
    const std::int64_t left = n % columns * (shape.width + kPadding) + kPadding;
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      for (std::int64_t y = 0; y < shape.height; ++y, from += shape.width) {
        const std::int64_t to = (c * grid.shape.height + top + y) * grid.shape.width + left;
        std::copy_n(from, shape.width, grid.chw.begin() + to);
      }
    }
  }
  return grid;
}

}  // namespace headstart
