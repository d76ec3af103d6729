#include "headstart/data/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "headstart/error.h"

namespace headstart {

namespace {

[[noreturn]] void throw_write_error(const std::string& path, int error) {
  throw DataError(path, fmt::format("cannot be written: {}", std::strerror(error)));
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  // O_EXCL and a counter: two writers of one process, or the leavings of a killed one with our pid, must not share a file.
  for (int n = 0; descriptor_ < 0; ++n) {
    temporary_ = fmt::format("{}.tmp.{}.{}", path_, ::getpid(), n);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) throw_write_error(path_, errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!committed_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (descriptor_ < 0) throw InvalidArgument(fmt::format("[AtomicFile::write] expected an open file, got {} already committed", path_));
  while (!bytes.empty()) {
    // Linux moves at most 2 GiB a call.
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min<std::size_t>(bytes.size(), 1 << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_write_error(path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit(Sync sync) {
  if (descriptor_ < 0) throw InvalidArgument(fmt::format("[AtomicFile::commit] expected an open file, got {} already committed", path_));
  if (sync == Sync::yes && ::fsync(descriptor_) != 0) throw_write_error(path_, errno);
  // Some file systems report a full disk only here.
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) throw_write_error(path_, errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) throw_write_error(path_, errno);
  committed_ = true;
}

void write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const std::string& path, std::string_view text) { write_file_atomically(path, std::as_bytes(std::span(text))); }

}  // namespace headstart
