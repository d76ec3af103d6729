#include "headstart/data/png.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>

#include "headstart/data/atomic_file.h"
#include "headstart/data/byte_source.h"
#include "headstart/error.h"

namespace headstart {

namespace {

// libpng reports errors by longjmp, which skips destructors. So every call that can fail runs inside guarded(), whose function object owns
// nothing, and the C++ objects it works on live in the caller's frame.
template <typename Calls>
bool guarded(png_structp png, const Calls& calls) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  calls();
  return true;
}

struct ErrorText {
  std::array<char, 128> text{};
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* const error = static_cast<ErrorText*>(png_get_error_ptr(png));
  std::strncpy(error->text.data(), message, error->text.size() - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

struct Reader {
  Reader() : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &error, on_error, on_warning)) {
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_read_struct(&png, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }

  ErrorText error;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

struct Writer {
  Writer() : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &error, on_error, on_warning)) {
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_write_struct(&png, nullptr);
      throw std::bad_alloc();
    }
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }

  ErrorText error;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

void take_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto* const left = static_cast<std::span<const std::byte>*>(png_get_io_ptr(png));
  if (count > left->size()) png_error(png, "truncated");
  std::memcpy(out, left->data(), count);
  *left = left->subspan(count);
}

void append_bytes(png_structp png, png_bytep bytes, std::size_t count) {
  auto* const out = static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(png));
  bool fits = true;
  try {
    out->insert(out->end(), bytes, bytes + count);
  } catch (const std::bad_alloc&) {
    fits = false;  // an exception must not cross libpng's frames, nor a longjmp leave a handler
  }
  if (!fits) png_error(png, "out of memory");
}

// Channels of the picture that comes of it.
std::int64_t require_channels(const std::string& name, int bit_depth, int color_type, bool has_transparency) {
  const auto refuse = [&](const char* what) {
    throw DataError(
        name, fmt::format("expected an 8-bit grey or RGB PNG, got {}, which is converted only on request (--as grey or --as rgb)", what));
  };
  if (color_type == PNG_COLOR_TYPE_PALETTE) refuse("a palette");
  if (bit_depth == 16) refuse("16 bits a channel");
  if (bit_depth != 8) refuse("fewer than 8 bits a pixel");
  if ((color_type & PNG_COLOR_MASK_ALPHA) != 0) refuse("an alpha channel");
  if (has_transparency) refuse("a transparent colour");
  return color_type == PNG_COLOR_TYPE_RGB ? 3 : 1;
}

void require_png_start(const std::string& name, std::span<const std::byte> bytes) {
  constexpr std::size_t kSignature = 8;
  if (bytes.empty()) throw DataError(name, "is empty");
  if (png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, std::min(bytes.size(), kSignature)) != 0) {
    throw DataError(name, "is not a PNG file");
  }
  if (bytes.size() < kSignature) throw DataError(name, "cannot be decoded as PNG: truncated");
}

std::vector<std::uint8_t> to_hwc(const ImageShape& shape, std::span<const std::uint8_t> chw) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  const std::size_t area = chw.size() / channels;
  std::vector<std::uint8_t> hwc(chw.size());
  for (std::size_t i = 0; i < area; ++i) {
    for (std::size_t c = 0; c < channels; ++c) hwc[i * channels + c] = chw[c * area + i];
  }
  return hwc;
}

std::vector<png_bytep> rows_of(std::vector<std::uint8_t>& pixels, std::int64_t height) {
  const std::size_t stride = pixels.size() / static_cast<std::size_t>(height);
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < height; ++y) rows.push_back(pixels.data() + static_cast<std::size_t>(y) * stride);
  return rows;
}

}  // namespace

ImageBytes read_png(const std::string& path, PixelsAs as) { return decode_png(path, read_file(path), as); }

ImageBytes decode_png(const std::string& name, std::span<const std::byte> png, PixelsAs as) {
  require_png_start(name, png);
  Reader reader;
  std::span<const std::byte> left = png;
  png_set_read_fn(reader.png, &left, take_bytes);
  const auto require = [&](bool good) {
    if (good) return;
    throw DataError(name, fmt::format("cannot be decoded as PNG: {}", reader.error.text.data()),
                    static_cast<std::int64_t>(png.size() - left.size()));
  };

  require(guarded(reader.png, [&] { png_read_info(reader.png, reader.info); }));
  const bool has_transparency = png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0;
  if (as == PixelsAs::stored) {
    require_channels(name, png_get_bit_depth(reader.png, reader.info), png_get_color_type(reader.png, reader.info), has_transparency);
  }
  const std::int64_t height = png_get_image_height(reader.png, reader.info);
  const std::int64_t width = png_get_image_width(reader.png, reader.info);
  // A header can claim any size; deflate bounds what the file can hold, before anything is allocated.
  const auto stride = static_cast<std::int64_t>(png_get_rowbytes(reader.png, reader.info));
  if (stride * height > max_inflated(static_cast<std::int64_t>(png.size()))) {
    throw DataError(name, fmt::format("cannot be decoded as PNG: truncated, expected {} x {} pixels", width, height));
  }
  require(guarded(reader.png, [&] {
    if (as != PixelsAs::stored) {
      png_set_expand(reader.png);  // palettes, few bits and transparent colours to 8-bit channels
      png_set_scale_16(reader.png);
    }
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
  }));
  const ImageShape stored{.channels = png_get_channels(reader.png, reader.info), .height = height, .width = width};
  std::vector<std::uint8_t> hwc(static_cast<std::size_t>(stored.dim()));
  std::vector<png_bytep> rows = rows_of(hwc, height);
  require(guarded(reader.png, [&] {
    png_read_image(reader.png, rows.data());
    png_read_end(reader.png, nullptr);
  }));
  if (stored.channels == 1 && as != PixelsAs::rgb) return {.shape = stored, .chw = std::move(hwc)};
  return image_from_hwc(stored, hwc, as);
}

ImageShape png_shape(const std::string& name, std::span<const std::byte> start, PixelsAs as) {
  require_png_start(name, start);
  // Signature (8), chunk length (4), "IHDR" (4), width (4), height (4), bit depth, colour type.
  constexpr std::size_t kHeader = 26;
  if (start.size() < kHeader) throw DataError(name, "cannot be decoded as PNG: truncated", static_cast<std::int64_t>(start.size()));
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(start.data());
  if (std::memcmp(bytes + 12, "IHDR", 4) != 0) throw DataError(name, "cannot be decoded as PNG: no header", 12);
  const std::int64_t channels = as == PixelsAs::stored ? require_channels(name, bytes[24], bytes[25], false) : channels_as(as, 1);
  return {.channels = channels, .height = png_get_uint_32(bytes + 20), .width = png_get_uint_32(bytes + 16)};
}

std::vector<std::uint8_t> encode_png(const ImageShape& shape, std::span<const std::uint8_t> chw) {
  const bool known_channels = shape.channels == 1 || shape.channels == 3;
  if (!known_channels || shape.height < 1 || shape.width < 1 || static_cast<std::int64_t>(chw.size()) != shape.dim()) {
    throw InvalidArgument(
        fmt::format("[encode_png] expected C*H*W values with C 1 or 3, got shape {} and {} values", to_string(shape), chw.size()));
  }
  Writer writer;
  std::vector<std::uint8_t> out;
  std::vector<std::uint8_t> hwc = to_hwc(shape, chw);
  std::vector<png_bytep> rows = rows_of(hwc, shape.height);
  png_set_write_fn(writer.png, &out, append_bytes, nullptr);
  const bool good = guarded(writer.png, [&] {
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(shape.width), static_cast<png_uint_32>(shape.height), 8,
                 shape.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer.png, writer.info);
    png_write_image(writer.png, rows.data());
    png_write_end(writer.png, nullptr);
  });
  if (!good) {
    throw InvalidArgument(
        fmt::format("[encode_png] expected an image PNG can hold, got shape {}: {}", to_string(shape), writer.error.text.data()));
  }
  return out;
}

void write_png(const std::string& path, const ImageShape& shape, std::span<const std::uint8_t> chw) {
  const std::vector<std::uint8_t> png = encode_png(shape, chw);
  write_file_atomically(path, std::as_bytes(std::span(png)));
}

}  // namespace headstart
