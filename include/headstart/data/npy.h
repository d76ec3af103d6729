#pragma once
// NumPy's .npy: magic, version, a Python dict literal (descr, fortran_order, shape), then the
// values. Versions 1 and 2, little endian, C order.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "headstart/data/array.h"
#include "headstart/data/byte_source.h"
#include "headstart/data/image_stream.h"

namespace headstart {

struct NpyHeader {
  DType dtype = DType::F64;  ///< F64, F32, I64, I32 or U8
  std::vector<std::int64_t> shape;
  std::int64_t data_offset = 0;  ///< bytes before the first value
};

/// The header alone. The file may be gzip-compressed.
/// @throws DataError where the file is missing, empty or not npy, is truncated or has trailing bytes, or is of a dtype, byte order or
///   memory order this reader does not take
NpyHeader read_npy_header(const std::string& path);

/// The same from bytes that are already open; leaves the source at the first value.
NpyHeader read_npy_header(ByteSource& source);

/// The whole array in memory. @throws DataError as read_npy_header, and on a NaN or an infinity (with its byte offset)
Array read_npy(const std::string& path);
Array read_npy(ByteSource& source);

/// Writes version 1 atomically. `array` may be F64, F32, I64, I32 or U8.
/// @throws InvalidArgument where the bytes are not what shape and dtype say, or the dtype is another one
/// @throws DataError where the file cannot be written
void write_npy(const std::string& path, const ArrayView& array);

/// The same from typed values: double, float, uint8_t, int32_t or int64_t.
template <typename T>
void write_npy(const std::string& path, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  write_npy(path, view_of<T>(std::move(shape), values));
}
template <typename T>
void write_npy(const std::string& path, std::vector<std::int64_t> shape, std::span<T> values) {
  write_npy(path, view_of<std::remove_const_t<T>>(std::move(shape), values));
}

/// The header's bytes, padded so that the values start at a multiple of 64.
std::string encode_npy_header(DType dtype, std::span<const std::int64_t> shape);

/// Streams images: uint8 [N,H,W], [N,H,W,C] (C is 1 or 3) or [N,C,H,W]; float [N,D] (shape 1,1,D) or [N,C,H,W] in data units.
/// float64 is rounded to float32. @throws DataError as read_npy_header, on other shapes and dtypes, and on N = 0
std::unique_ptr<ImageStream> open_npy(const std::string& path);
std::unique_ptr<ImageStream> open_npy(std::unique_ptr<ByteSource> source, std::vector<std::int64_t> labels = {});

}  // namespace headstart
