#pragma once
// Reading zips: the names of the entries, and each as a stream that inflates as it is read.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "headstart/data/byte_source.h"

struct zip;

namespace headstart {

/// A zip that stays open, because finding its entries takes reading its whole directory. Of its sources, one thread at a time.
class ZipArchive {
 public:
  /// @throws DataError where the file is missing, empty or not a whole zip
  explicit ZipArchive(const std::string& path);

  /// Of every entry, in the order of the file.
  const std::vector<std::string>& names() const { return names_; }

  /// Called "path[name]" in messages. @throws DataError on a corrupt entry, and on one that is neither stored nor deflated
  std::unique_ptr<ByteSource> open(std::size_t index) const;

 private:
  std::string path_;
  std::shared_ptr<zip> archive_;
  std::vector<std::string> names_;
};

/// What libzip says of an error code.
std::string zip_message(int code);

}  // namespace headstart
