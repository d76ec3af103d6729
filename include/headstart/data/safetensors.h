#pragma once
// The safetensors container: 8 bytes of header length, a JSON header, then the tensors' bytes without gaps.

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "headstart/data/array.h"

namespace headstart {

/// A safetensors file, read whole into memory (its size on disk); views stay valid as long as this object.
class SafetensorsFile {
 public:
  /// @throws DataError where the file is missing, empty or truncated; where the header is no JSON of the format's form, repeats a key, or
  ///   names an unknown dtype; where a tensor's size is not what dtype and shape say, or the tensors overlap, leave gaps or stop short
  explicit SafetensorsFile(const std::string& path);

  // Views point into the bytes, which a move keeps where they are and a copy would not.
  SafetensorsFile(SafetensorsFile&&) = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = default;

  const std::string& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// Names of the tensors, sorted.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return tensors_.contains(name); }

  /// @throws DataError where there is no such tensor (lists those there are)
  const ArrayView& get(const std::string& name) const;

  /// A metadata string. @throws DataError where there is no such key
  const std::string& metadata(const std::string& key) const;

 private:
  void parse_header();
  void check_layout() const;

  std::string path_;
  std::vector<std::byte> bytes_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, ArrayView> tensors_;
};

/// Writes atomically. The header is padded to a multiple of 8 and wider dtypes come first, so every tensor is aligned; the same input gives
/// the same bytes.
/// @throws InvalidArgument on a repeated, empty or reserved name, on text that is not UTF-8,
///   and where bytes are not what dtype and shape say
/// @throws DataError where the file cannot be written
void write_safetensors(const std::string& path, std::span<const NamedArray> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace headstart
