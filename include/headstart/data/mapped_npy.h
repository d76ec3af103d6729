#pragma once
// A float32 .npy file used where it lies on the disk: larger than memory, if need be.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace headstart {

/// The values of a mapped file, read when they are touched; the kernel drops their pages again where memory is short. The file must not be
/// made shorter meanwhile: the process would end with SIGBUS.
class MappedNpy {
 public:
  /// @return the file's values, or nothing where it cannot be used as it lies: it is compressed, of another dtype or format, or missing
  /// @throws DataError as read_npy_header, where it is an npy file, and where it cannot be mapped. Values may be NaN: nothing is read.
  static std::shared_ptr<const MappedNpy> open(const std::string& path);
  ~MappedNpy();
  MappedNpy(const MappedNpy&) = delete;
  MappedNpy& operator=(const MappedNpy&) = delete;

  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::span<const float> values() const { return values_; }

 private:
  MappedNpy() = default;
  std::vector<std::int64_t> shape_{};
  std::span<const float> values_{};
  void* mapping_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace headstart
