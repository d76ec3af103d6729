#pragma once
// Files appear under their name complete or not at all: written to a temporary name in the same folder, then renamed.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace headstart {

/// One file being written. Nothing is seen under `path` before commit(); a file that was there stays until then.
class AtomicFile {
 public:
  /// Creates `path.tmp.<pid>.<n>`. @throws DataError where the folder is missing or cannot be written
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Removes the temporary file unless committed.
  ~AtomicFile();

  /// Appends. Unbuffered: hand over large blocks. @throws DataError where the write fails (a full disk); InvalidArgument after commit()
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  enum class Sync { no, yes };

  /// Gives the file its name. With Sync::yes the bytes are on the disk before it does (checkpoints).
  /// @throws DataError where closing or renaming fails; InvalidArgument where it was committed before
  void commit(Sync sync = Sync::no);

  const std::string& temporary_path() const { return temporary_; }

 private:
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

/// Writes a whole file. @throws DataError as AtomicFile
void write_file_atomically(const std::string& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace headstart
