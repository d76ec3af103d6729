#pragma once
// SHA-256, to say in a file which data or network it came from.

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace headstart {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> bytes);

  /// The digest of everything so far, 64 lower-case hexadecimal digits; more may be added afterwards.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of a file as it lies on disk, read in blocks. @throws DataError where it is missing or cannot be read
std::string sha256_file(const std::string& path);

}  // namespace headstart
