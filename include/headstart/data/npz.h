#pragma once
// NumPy's .npz: a zip of .npy members, stored or deflated.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "headstart/data/array.h"
#include "headstart/data/byte_source.h"
#include "headstart/data/image_stream.h"
#include "headstart/data/npy.h"

namespace headstart {

/// Whether a path is a file that begins as zip archives do: an npz, or a TorchScript network.
bool is_zip(const std::string& path);

/// Keys of the arrays (member names without ".npy"), in the order of the file.
/// @throws DataError where the file is missing, empty or not a zip
std::vector<std::string> npz_names(const std::string& path);

/// One array in memory; with no key, the only one.
/// @throws DataError as npz_names and read_npy; where there is no such key (lists those there
///   are), or no key was given and there are several
Array read_npz(const std::string& path, const std::string& key = "");

/// Writes the arrays, uncompressed as numpy.savez does, atomically. The same arrays give the same bytes: no times are stored.
/// @throws InvalidArgument on an empty or repeated name, and as write_npy
/// @throws DataError where the file cannot be written
void write_npz(const std::string& path, std::span<const NamedArray> arrays);

/// Streams the images of the array `samples`, or `images`, or of the only one there is, as open_npy does; inflates as it reads.
/// Integers [N] in an array `labels` are the labels. @throws DataError as read_npz and open_npy, and where the labels do not fit
std::unique_ptr<ImageStream> open_npz(const std::string& path);

/// One member of a zip, inflated as it is read. @throws DataError as npz_names, and where there is no such member
std::unique_ptr<ByteSource> open_zip_member(const std::string& path, const std::string& member);

}  // namespace headstart
