#pragma once
// JPEG files for tests, written through libjpeg.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>  // jpeglib.h uses FILE
#include <cstdlib>
#include <string>
#include <vector>

#include "headstart/data/image_shape.h"

// after cstdio
#include <jpeglib.h>

namespace headstart {

struct JpegKind {
  J_COLOR_SPACE stored = JCS_UNKNOWN;  ///< JCS_UNKNOWN: the usual one of that many channels
  bool progressive = false;
  std::size_t comment = 0;  ///< bytes of a comment before the size
};

/// Quality 100 without subsampling: areas of one value come back exactly, all else within a few steps.
inline std::string jpeg_bytes(const ImageShape& shape, const std::vector<std::uint8_t>& hwc, const JpegKind& kind = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr error;
  info.err = jpeg_std_error(&error);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = static_cast<JDIMENSION>(shape.width);
  info.image_height = static_cast<JDIMENSION>(shape.height);
  info.input_components = static_cast<int>(shape.channels);
  info.in_color_space = shape.channels == 1 ? JCS_GRAYSCALE : shape.channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  if (kind.stored != JCS_UNKNOWN) jpeg_set_colorspace(&info, kind.stored);
  for (int i = 0; i < info.num_components; ++i) info.comp_info[i].h_samp_factor = info.comp_info[i].v_samp_factor = 1;
  if (kind.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (std::size_t left = kind.comment; left > 0;) {
    const std::string text(std::min<std::size_t>(left, 60000), 'c');
    jpeg_write_marker(&info, JPEG_COM, reinterpret_cast<const JOCTET*>(text.data()), static_cast<unsigned>(text.size()));
    left -= text.size();
  }
  const std::size_t stride = hwc.size() / static_cast<std::size_t>(shape.height);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(hwc.data() + info.next_scanline * stride);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  const std::string bytes(reinterpret_cast<char*>(out), size);
  std::free(out);
  return bytes;
}

}  // namespace headstart
