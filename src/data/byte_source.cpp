#include "headstart/data/byte_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "headstart/error.h"

namespace headstart {

namespace {

// zlib reads a plain file through the same calls, so one class serves both.
class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path) : ByteSource(path), stored_size_(require_regular_file(path)) {
    if (stored_size_ == 0) throw DataError(path, "is empty");
    errno = 0;
    file_.reset(gzopen(path.c_str(), "rbe"));
    if (!file_) throw DataError(path, fmt::format("cannot be opened: {}", std::strerror(errno ? errno : ENOMEM)));
    gzbuffer(file_.get(), 1 << 17);
    compressed_ = gzdirect(file_.get()) == 0;
  }

  std::size_t read(std::span<std::byte> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const auto want = static_cast<unsigned>(std::min<std::size_t>(out.size() - done, 1 << 30));
      const int got = gzread(file_.get(), out.data() + done, want);
      if (got > 0) {
        done += static_cast<std::size_t>(got);
        position_ += got;
      }
      // A gzip stream that stops early is a short count without an error, then only gzerror knows.
      if (got < static_cast<int>(want)) {
        require_no_error();
        if (got <= 0) break;
      }
    }
    return done;
  }

  void rewind() override {
    if (gzrewind(file_.get()) != 0) throw DataError(name(), "cannot be read again from the start");
    position_ = 0;
  }

  std::optional<std::int64_t> size() const override { return compressed_ ? std::nullopt : std::optional(stored_size_); }
  std::int64_t max_size() const override { return compressed_ ? max_inflated(stored_size_) : stored_size_; }

 private:
  void require_no_error() const {
    int code = Z_OK;
    gzerror(file_.get(), &code);
    if (code == Z_OK || code == Z_STREAM_END) return;
    if (code == Z_BUF_ERROR) throw DataError(name(), "truncated gzip stream", position_);
    if (code == Z_ERRNO) throw DataError(name(), fmt::format("cannot be read: {}", std::strerror(errno)), position_);
    throw DataError(name(), "corrupt gzip stream", position_);
  }

  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };

  std::int64_t stored_size_;
  std::unique_ptr<gzFile_s, Close> file_;
  bool compressed_ = false;
  std::int64_t position_ = 0;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::span<const std::byte> bytes) : ByteSource(std::move(name)), bytes_(bytes) {}

  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = std::min(out.size(), bytes_.size() - position_);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(position_), count, out.begin());
    position_ += count;
    return count;
  }
  void rewind() override { position_ = 0; }
  std::optional<std::int64_t> size() const override { return static_cast<std::int64_t>(bytes_.size()); }
  std::int64_t max_size() const override { return static_cast<std::int64_t>(bytes_.size()); }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> open_file_source(const std::string& path) { return std::make_unique<FileSource>(path); }

std::unique_ptr<ByteSource> open_memory_source(std::string name, std::span<const std::byte> bytes) {
  return std::make_unique<MemorySource>(std::move(name), bytes);
}

std::vector<std::byte> read_rest(ByteSource& source) {
  std::vector<std::byte> bytes;
  std::size_t used = 0;
  while (true) {
    // Grows with what really comes, never with what a header says.
    bytes.resize(std::max<std::size_t>(1 << 16, used * 2));
    const std::size_t got = source.read(std::span(bytes).subspan(used));
    used += got;
    if (used < bytes.size()) break;
  }
  bytes.resize(used);
  return bytes;
}

std::vector<std::byte> read_file(const std::string& path) {
  const std::int64_t size = require_regular_file(path);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw DataError(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  if (file.gcount() != size) throw DataError(path, "cannot be read to its end", file.gcount());
  return bytes;
}

std::int64_t require_regular_file(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) throw DataError(path, "no such file or folder");
  if (status.type() == std::filesystem::file_type::directory) throw DataError(path, "is a folder, expected a file");
  if (error) throw DataError(path, fmt::format("cannot be opened: {}", error.message()));
  if (status.type() != std::filesystem::file_type::regular) throw DataError(path, "is not a regular file");
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw DataError(path, fmt::format("cannot be opened: {}", error.message()));
  return static_cast<std::int64_t>(size);
}

}  // namespace headstart
