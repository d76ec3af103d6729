#pragma once
// Bytes read front to back, from a file, a gzip stream or a zip member: the formats above do not care which.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace headstart {

class ByteSource {
 public:
  explicit ByteSource(std::string name) : name_(std::move(name)) {}
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  /// What error messages call it: the path, or "path[member]" inside a zip.
  const std::string& name() const { return name_; }

  /// Fills `out` from the current position.
  /// @return bytes written, less than out.size() only at the end
  /// @throws DataError on a read error and on a truncated or corrupt compressed stream
  virtual std::size_t read(std::span<std::byte> out) = 0;

  /// Back to the first byte.
  virtual void rewind() = 0;

  /// Exact number of (decoded) bytes, where it is known without decoding.
  virtual std::optional<std::int64_t> size() const = 0;

  /// A number of bytes this source cannot exceed: refuses a header that promises terabytes before anything is allocated.
  virtual std::int64_t max_size() const = 0;

 private:
  std::string name_;
};

/// The most that `compressed` bytes of deflate can inflate to (1032:1, the limit of the format).
constexpr std::int64_t max_inflated(std::int64_t compressed) {
  constexpr std::int64_t kRatio = 1032;
  constexpr std::int64_t kLimit = std::numeric_limits<std::int64_t>::max() / kRatio;
  return compressed >= kLimit ? std::numeric_limits<std::int64_t>::max() : compressed * kRatio;
}

/// A plain or gzip-compressed file (told apart by content), streamed through a buffer of 128 KiB.
/// @throws DataError where the path is missing, is not a regular file, cannot be opened, or is empty
std::unique_ptr<ByteSource> open_file_source(const std::string& path);

/// Bytes in memory, which must outlive the source.
std::unique_ptr<ByteSource> open_memory_source(std::string name, std::span<const std::byte> bytes);

/// Everything from the current position on, in memory.
std::vector<std::byte> read_rest(ByteSource& source);

/// A file as it lies on disk (gzip is not inflated), in memory. @throws DataError as open_file_source, an empty file excepted
std::vector<std::byte> read_file(const std::string& path);

/// Size of a regular file. @throws DataError "no such file or folder", or that it is not a regular file
std::int64_t require_regular_file(const std::string& path);

}  // namespace headstart
