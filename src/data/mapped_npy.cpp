#include "headstart/data/mapped_npy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>

#include "headstart/data/npy.h"
#include "headstart/error.h"

namespace headstart {
namespace {

/// A plain one: read_npy_header would read a compressed one as well.
bool is_npy(const std::string& path) {
  constexpr std::array<char, 6> kMagic{'\x93', 'N', 'U', 'M', 'P', 'Y'};
  std::array<char, 6> start{};
  std::ifstream file(path, std::ios::binary);
  return file.read(start.data(), start.size()) && start == kMagic;
}

}  // namespace

std::shared_ptr<const MappedNpy> MappedNpy::open(const std::string& path) {
  if (!is_npy(path)) return nullptr;
  const NpyHeader header = read_npy_header(path);
  // NumPy aligns the values; a file that does not can only be read.
  if (header.dtype != DType::F32 || header.data_offset % static_cast<std::int64_t>(alignof(float)) != 0) return nullptr;
  const auto count =
      static_cast<std::size_t>(std::accumulate(header.shape.begin(), header.shape.end(), std::int64_t{1}, std::multiplies<>()));
  const auto offset = static_cast<std::size_t>(header.data_offset);
  std::shared_ptr<MappedNpy> file(new MappedNpy());
  file->shape_ = header.shape;
  file->bytes_ = offset + count * sizeof(float);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  void* mapping = descriptor < 0 ? MAP_FAILED : ::mmap(nullptr, file->bytes_, PROT_READ, MAP_SHARED, descriptor, 0);
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (mapping == MAP_FAILED) throw DataError(path, fmt::format("cannot be mapped: {}", std::strerror(error)));
  file->mapping_ = mapping;
  file->values_ = {reinterpret_cast<const float*>(static_cast<const std::byte*>(mapping) + offset), count};
  return file;
}

MappedNpy::~MappedNpy() {
  if (mapping_ != nullptr) ::munmap(mapping_, bytes_);
}

}  // namespace headstart
