#include "headstart/data/jpeg.h"

#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstdio>

// jpeglib.h uses FILE without including it.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "headstart/error.h"

namespace headstart {

namespace {

struct ErrorManager {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> text;
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* const error = reinterpret_cast<ErrorManager*>(info->err);
  (*info->err->format_message)(info, error->text.data());
  std::longjmp(error->jump, 1);
}

// Level -1 is a warning, after which libjpeg makes pixels up; the others trace.
void on_message(j_common_ptr info, int level) {
  if (level < 0) on_error(info);
}

void on_output(j_common_ptr) {}

// libjpeg reports errors by longjmp, which skips destructors. So every call that can fail runs inside attempt(), whose function object owns
// nothing, and the C++ objects it works on live in the caller's frame.
class Reader {
 public:
  Reader(const std::string& name, std::span<const std::byte> jpeg) : name_(name) {
    info_.err = jpeg_std_error(&error_.base);
    error_.base.error_exit = on_error;
    error_.base.emit_message = on_message;
    error_.base.output_message = on_output;
    attempt([&] {
      jpeg_create_decompress(&info_);
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
      jpeg_read_header(&info_, TRUE);
    });
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&info_); }

  ImageShape stored() const {
    const J_COLOR_SPACE colours = info_.jpeg_color_space;
    if (colours == JCS_CMYK || colours == JCS_YCCK) throw DataError(name_, "expected a grey or RGB JPEG, got CMYK");
    if (colours != JCS_GRAYSCALE && colours != JCS_YCbCr && colours != JCS_RGB) {
      throw DataError(name_, fmt::format("expected a grey or RGB JPEG, got {} channels of unknown colours", info_.num_components));
    }
    return {.channels = info_.num_components, .height = info_.image_height, .width = info_.image_width};
  }

  void read(std::span<std::uint8_t> hwc) {
    attempt([&] {
      info_.out_color_space = info_.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
      jpeg_start_decompress(&info_);
      const std::size_t stride = hwc.size() / info_.output_height;
      while (info_.output_scanline < info_.output_height) {
        JSAMPROW row = hwc.data() + info_.output_scanline * stride;
        jpeg_read_scanlines(&info_, &row, 1);
      }
      jpeg_finish_decompress(&info_);  // to the end marker: a file cut before it is truncated
    });
  }

 private:
  template <typename Calls>
  void attempt(const Calls& calls) {
    if (setjmp(error_.jump) == 0) return calls();
    const bool truncated = error_.base.msg_code == JWRN_JPEG_EOF || error_.base.msg_code == JERR_INPUT_EOF;
    const std::string why = truncated ? "truncated" : error_.text.data();
    jpeg_destroy_decompress(&info_);  // the constructor may be what fails; destroying twice is allowed
    throw DataError(name_, "cannot be decoded as JPEG: " + why);
  }

  const std::string& name_;
  ErrorManager error_{};
  jpeg_decompress_struct info_{};
};

}  // namespace

ImageBytes decode_jpeg(const std::string& name, std::span<const std::byte> jpeg, PixelsAs as) {
  Reader reader(name, jpeg);
  const ImageShape stored = reader.stored();
  // A header can claim any size; a Huffman code of at least one bit for each block of 64 pixels bounds it, before anything is allocated.
  constexpr std::size_t kPixelsAByte = 512;  // 8 * 64
  if (static_cast<std::size_t>(stored.height) * static_cast<std::size_t>(stored.width) / kPixelsAByte > jpeg.size()) {
    throw DataError(name, fmt::format("cannot be decoded as JPEG: truncated, expected shape {}", to_string(stored)));
  }
  std::vector<std::uint8_t> hwc(static_cast<std::size_t>(stored.dim()));
  reader.read(hwc);
  return image_from_hwc(stored, hwc, as);
}

ImageShape jpeg_shape(const std::string& name, std::span<const std::byte> start, PixelsAs as) {
  ImageShape shape = Reader(name, start).stored();
  shape.channels = channels_as(as, shape.channels);
  return shape;
}

}  // namespace headstart
