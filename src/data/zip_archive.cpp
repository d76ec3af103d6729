#include "zip_archive.h"

#include <fmt/format.h>
#include <zip.h>

#include <utility>

#include "headstart/error.h"

namespace headstart {

namespace {

struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

class ZipMemberSource final : public ByteSource {
 public:
  ZipMemberSource(std::string name, std::shared_ptr<zip_t> archive, zip_uint64_t index)
      : ByteSource(std::move(name)), archive_(std::move(archive)), index_(index) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(archive_.get(), index_, 0, &stat) != 0) throw DataError(this->name(), "corrupt zip entry");
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      throw DataError(this->name(), fmt::format("expected a stored or deflated member, got compression method {}", stat.comp_method));
    }
    size_ = static_cast<std::int64_t>(stat.size);
    if (size_ < 0 || size_ > max_inflated(static_cast<std::int64_t>(stat.comp_size))) throw DataError(this->name(), "corrupt zip entry");
    rewind();
  }

  std::size_t read(std::span<std::byte> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const zip_int64_t got = zip_fread(member_.get(), out.data() + done, out.size() - done);
      if (got < 0) {
        throw DataError(name(), fmt::format("corrupt zip member: {}", zip_error_strerror(zip_file_get_error(member_.get()))), position_);
      }
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
      position_ += got;
    }
    return done;
  }

  void rewind() override {
    // Deflate runs forwards only, so the member is opened anew.
    member_.reset(zip_fopen_index(archive_.get(), index_, 0));
    if (!member_) throw DataError(name(), fmt::format("cannot be read: {}", zip_strerror(archive_.get())));
    position_ = 0;
  }

  std::optional<std::int64_t> size() const override { return size_; }
  std::int64_t max_size() const override { return size_; }

 private:
  std::shared_ptr<zip_t> archive_;
  std::unique_ptr<zip_file_t, CloseMember> member_;  // after the archive, which must outlive it
  zip_uint64_t index_;
  std::int64_t size_ = 0;
  std::int64_t position_ = 0;
};

}  // namespace

std::string zip_message(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

ZipArchive::ZipArchive(const std::string& path) : path_(path) {
  if (require_regular_file(path) == 0) throw DataError(path, "is empty");
  int code = ZIP_ER_OK;
  zip_t* const archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (archive == nullptr) throw DataError(path, fmt::format("is not a complete zip file: {}", zip_message(code)));
  archive_.reset(archive, zip_discard);
  const auto count = static_cast<zip_uint64_t>(zip_get_num_entries(archive, 0));
  for (zip_uint64_t i = 0; i < count; ++i) {
    const char* const name = zip_get_name(archive, i, 0);
    if (name == nullptr) throw DataError(path, fmt::format("corrupt zip entry: {}", zip_strerror(archive)));
    names_.emplace_back(name);
  }
}

std::unique_ptr<ByteSource> ZipArchive::open(std::size_t index) const {
  return std::make_unique<ZipMemberSource>(fmt::format("{}[{}]", path_, names_[index]), archive_, index);
}

}  // namespace headstart
