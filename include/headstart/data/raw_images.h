#pragma once
// The ImageStream of every format that is a header followed by the values of one N-d array: IDX, npy, a member of an npz.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "headstart/data/array.h"
#include "headstart/data/byte_source.h"
#include "headstart/data/image_shape.h"
#include "headstart/data/image_stream.h"

namespace headstart {

/// Where the images lie in the bytes, as a format's header says.
struct RawImages {
  ImageShape shape;
  std::int64_t count = 0;
  DType dtype = DType::U8;       ///< U8, F32 or F64
  bool channels_last = false;    ///< true where the bytes are [N,H,W,C]
  std::int64_t data_offset = 0;  ///< bytes before the first value
};

/// How an array is a set of images: uint8 [N,H,W] is 1xHxW; uint8 [N,a,b,c] is NHWC when c is 1 or 3, else NCHW when a is; float [N,D] is
/// (1,1,D); float [N,C,H,W] is NCHW.
/// @param name  what to call the file in messages
/// @throws DataError on any other dtype or shape, on N = 0 and on an empty image
RawImages images_of_array(const std::string& name, DType dtype, std::span<const std::int64_t> shape, std::int64_t data_offset);

/// Streams the images; holds one buffer of about 1 MiB (or one image, if that is more).
///
/// float64 is rounded to float32. Labels are one an image, or none.
/// @throws DataError at once where the source's size is known and is not what `images` says; otherwise when the end is reached
std::unique_ptr<ImageStream> stream_raw_images(std::unique_ptr<ByteSource> source, const RawImages& images,
                                               std::vector<std::int64_t> labels = {});

}  // namespace headstart
