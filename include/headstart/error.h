#pragma once
// The three ways a call can fail that are not bugs. Libraries throw them; the command line turns each into one line and an exit code.

#include <cstdint>
#include <stdexcept>
#include <string>

namespace headstart {

/// The caller asked for something that makes no sense (a shape, a range, an unknown name). Exit code 2.
class InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// A file is missing, truncated, malformed or cannot be written. The message names the file. Exit code 3.
class DataError : public std::runtime_error {
 public:
  static constexpr std::int64_t kNoOffset = -1;

  /// @param path    the file or folder at fault
  /// @param what    what was expected and what was found
  /// @param offset  byte offset of the fault where one is known
  DataError(const std::string& path, const std::string& what, std::int64_t offset = kNoOffset)
      : std::runtime_error(path + ": " + what + (offset == kNoOffset ? std::string() : " (at byte " + std::to_string(offset) + ")")),
        path_(path),
        offset_(offset) {}

  const std::string& path() const { return path_; }
  std::int64_t offset() const { return offset_; }

 private:
  std::string path_;
  std::int64_t offset_;
};

/// A computation met a non-finite value, a rank too small, a matrix that is not positive. Exit code 4.
class NumericalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace headstart
