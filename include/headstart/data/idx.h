#pragma once
// IDX, the format of MNIST and Fashion-MNIST: magic 0 0 type ndim, big-endian sizes, then the values. Plain or gzip-compressed.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "headstart/data/byte_source.h"
#include "headstart/data/image_stream.h"

namespace headstart {

/// Streams uint8 images [N,H,W], [N,H,W,C] or [N,C,H,W] (NHWC when the last size is 1 or 3, else NCHW when the first is).
///
/// Labels are read from the file beside it whose name has `labels-idx1` for `images-idx3` (with or without `.gz`), where there is one.
/// @throws DataError where the file is missing, empty or not IDX, holds another type or no images, is truncated or has trailing bytes
///   (of a gzip file: once the end is reached), or where the labels file is malformed or counts otherwise
std::unique_ptr<ImageStream> open_idx(const std::string& path);

/// The same over bytes that are already open (at their start); labels are looked for beside `path`.
std::unique_ptr<ImageStream> open_idx(std::unique_ptr<ByteSource> source, const std::string& path);

/// Whether the header at the start of a plain file says a length that is the file's: what starts like IDX by chance does not.
bool idx_header_fits(std::span<const std::byte> start, std::int64_t file_size);

/// One label an element of a uint8 IDX file [N]. @throws DataError as open_idx
std::vector<std::int64_t> read_idx_labels(const std::string& path);

}  // namespace headstart
