#pragma once
// CIFAR-10's binary version: batches of records, each a label and 3 x 32 x 32 bytes (all of red, then green, then blue). No header.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "headstart/data/image_stream.h"

namespace headstart {

/// Streams one batch file, or data_batch_1.bin to data_batch_5.bin of a folder (test_batch.bin is not training data: give its path).
/// Opening reads the labels: a byte a record.
/// @throws DataError where a file is missing, is no whole number of records, or has a label that is not 0 to 9 (names the file)
std::unique_ptr<ImageStream> open_cifar10(const std::string& path);

/// Whether a folder holds a data_batch_*.bin.
bool is_cifar10_folder(const std::string& folder);

/// Whether a file of this size that starts so can be a batch, of which only the size and the first label tell.
bool looks_like_cifar10(std::span<const std::byte> start, std::int64_t file_size);

}  // namespace headstart
