#pragma once
// Width and height from the first bytes of a PNG: enough to lay a page out without decoding.

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace headstart {

struct PngSize {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
};

/// Empty unless `bytes` start with a PNG signature and a header chunk with a size that is not zero.
inline std::optional<PngSize> png_size(std::span<const std::uint8_t> bytes) {
  static constexpr std::array<std::uint8_t, 16> kStart = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
  if (bytes.size() < 24 || !std::equal(kStart.begin(), kStart.end(), bytes.begin())) return std::nullopt;
  const auto word = [&](std::size_t at) {
    return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
           static_cast<std::uint32_t>(bytes[at + 2]) << 8 | static_cast<std::uint32_t>(bytes[at + 3]);
  };
  const PngSize size{.width = word(16), .height = word(20)};
  if (size.width == 0 || size.height == 0) return std::nullopt;
  return size;
}

}  // namespace headstart
