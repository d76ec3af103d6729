#include "headstart/data/image_bytes.h"

#include <array>

namespace headstart {

namespace {

constexpr std::uint8_t on_white(unsigned value, unsigned alpha) {
  return static_cast<std::uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

}  // namespace

ImageBytes image_from_hwc(const ImageShape& stored, std::span<const std::uint8_t> hwc, PixelsAs as) {
  const auto step = static_cast<std::size_t>(stored.channels);
  const bool has_colour = step >= 3;
  const bool has_alpha = step % 2 == 0;
  ImageBytes image{.shape = {.channels = channels_as(as, stored.channels), .height = stored.height, .width = stored.width}, .chw = {}};
  image.chw.resize(static_cast<std::size_t>(image.shape.dim()));
  const std::size_t area = hwc.size() / step;
  for (std::size_t i = 0; i < area; ++i) {
    const auto pixel = hwc.subspan(i * step, step);
    const unsigned alpha = has_alpha ? pixel[step - 1] : 255;
    std::array<std::uint8_t, 3> rgb{};
    for (std::size_t c = 0; c < rgb.size(); ++c) rgb[c] = on_white(pixel[has_colour ? c : 0], alpha);
    if (image.shape.channels == 3) {
      for (std::size_t c = 0; c < rgb.size(); ++c) image.chw[c * area + i] = rgb[c];
    } else {
      image.chw[i] = grey_of(rgb[0], rgb[1], rgb[2]);
    }
  }
  return image;
}

}  // namespace headstart
