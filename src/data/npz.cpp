#include "headstart/data/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zip.h>

#include <algorithm>
#include <deque>
#include <set>

#include "headstart/error.h"

namespace headstart {

namespace {

constexpr std::string_view kSuffix = ".npy";

// Closing without commit: what was read needs none, and what failed to be written must leave nothing.
struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, Discard>;

struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Member = std::unique_ptr<zip_file_t, CloseMember>;

std::string message_of(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

Archive open_archive(const std::string& path) {
  if (require_regular_file(path) == 0) throw DataError(path, "is empty");
  int code = ZIP_ER_OK;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive) throw DataError(path, fmt::format("is not a complete zip file: {}", message_of(code)));
  return archive;
}

class ZipMemberSource final : public ByteSource {
 public:
  ZipMemberSource(const std::string& path, const std::string& member)
      : ByteSource(fmt::format("{}[{}]", path, member)), archive_(open_archive(path)) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    index_ = zip_name_locate(archive_.get(), member.c_str(), 0);
    if (index_ < 0 || zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(index_), 0, &stat) != 0) {
      throw DataError(path, fmt::format("has no member {}", member));
    }
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      throw DataError(name(), fmt::format("expected a stored or deflated member, got compression method {}", stat.comp_method));
    }
    size_ = static_cast<std::int64_t>(stat.size);
    if (size_ < 0 || size_ > max_inflated(static_cast<std::int64_t>(stat.comp_size))) throw DataError(name(), "corrupt zip entry");
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
    member_.reset(zip_fopen_index(archive_.get(), static_cast<zip_uint64_t>(index_), 0));
    if (!member_) throw DataError(name(), fmt::format("cannot be read: {}", zip_strerror(archive_.get())));
    position_ = 0;
  }

  std::optional<std::int64_t> size() const override { return size_; }
  std::int64_t max_size() const override { return size_; }

 private:
  Archive archive_;
  Member member_;  // after the archive, which must outlive it
  zip_int64_t index_ = -1;
  std::int64_t size_ = 0;
  std::int64_t position_ = 0;
};

std::string choose_key(const std::string& path, const std::vector<std::string>& names, std::span<const std::string> wanted) {
  for (const std::string& key : wanted) {
    if (std::ranges::find(names, key) != names.end()) return key;
  }
  if (names.empty()) throw DataError(path, "holds no .npy arrays");
  if (names.size() == 1) return names.front();
  throw DataError(path, fmt::format("expected one array{}{}, got {}", wanted.empty() ? "" : " or one called ", fmt::join(wanted, " or "),
                                    fmt::join(names, ", ")));
}

std::vector<std::int64_t> read_labels(const std::string& path) {
  const Array array = read_npz(path, "labels");
  const bool is_integer = array.dtype == DType::I64 || array.dtype == DType::I32 || array.dtype == DType::U8;
  if (!is_integer || array.shape.size() != 1) {
    throw DataError(path,
                    fmt::format("expected labels to be integers [N], got {} {}", to_string(array.dtype), shape_to_string(array.shape)));
  }
  const std::vector<double> values = to_double(array);
  return {values.begin(), values.end()};
}

[[noreturn]] void throw_write_error(const std::string& path, const std::string& why) {
  throw DataError(path, fmt::format("cannot be written: {}", why));
}

}  // namespace

std::vector<std::string> npz_names(const std::string& path) {
  const Archive archive = open_archive(path);
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* const text = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), 0);
    if (text == nullptr) throw DataError(path, fmt::format("corrupt zip entry: {}", zip_strerror(archive.get())));
    const std::string name(text);
    if (name.ends_with(kSuffix)) names.push_back(name.substr(0, name.size() - kSuffix.size()));
  }
  return names;
}

Array read_npz(const std::string& path, const std::string& key) {
  const std::vector<std::string> names = npz_names(path);
  if (!key.empty() && std::ranges::find(names, key) == names.end()) {
    throw DataError(path, fmt::format("has no array {}, only: {}", key, fmt::join(names, ", ")));
  }
  const std::string chosen = key.empty() ? choose_key(path, names, {}) : key;
  return read_npy(*open_zip_member(path, chosen + std::string(kSuffix)));
}

void write_npz(const std::string& path, std::span<const NamedArray> arrays) {
  if (arrays.empty()) throw InvalidArgument("[write_npz] expected at least one array, got none");
  std::set<std::string> names;
  for (const auto& [name, array] : arrays) {
    if (name.empty() || !names.insert(name).second) {
      throw InvalidArgument(fmt::format("[write_npz] expected distinct names, got \"{}\"{}", name, name.empty() ? "" : " twice"));
    }
    require_consistent("write_npz", array);
  }

  // libzip writes to a temporary name beside `path` and renames it in zip_close.
  std::deque<std::string> headers;  // must outlive zip_close; a deque does not move its elements
  int code = ZIP_ER_OK;
  Archive archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (!archive) throw_write_error(path, message_of(code));
  for (const auto& [name, array] : arrays) {
    const std::string& header = headers.emplace_back(encode_npy_header(array.dtype, array.shape));
    // Header and values as two fragments, so that the values are not copied.
    const zip_buffer_fragment_t fragments[] = {
        {reinterpret_cast<zip_uint8_t*>(const_cast<char*>(header.data())), header.size()},
        {reinterpret_cast<zip_uint8_t*>(const_cast<std::byte*>(array.bytes.data())), array.bytes.size()}};
    zip_source_t* const source = zip_source_buffer_fragment(archive.get(), fragments, array.bytes.empty() ? 1 : 2, 0);
    if (source == nullptr) throw_write_error(path, zip_strerror(archive.get()));
    const std::string member = name + std::string(kSuffix);
    const zip_int64_t index = zip_file_add(archive.get(), member.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      throw_write_error(path, zip_strerror(archive.get()));
    }
    const auto at = static_cast<zip_uint64_t>(index);
    constexpr zip_uint16_t kFirstOfJanuary1980 = 0x21;
    if (zip_set_file_compression(archive.get(), at, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(archive.get(), at, 0, kFirstOfJanuary1980, 0) != 0) {
      throw_write_error(path, zip_strerror(archive.get()));
    }
  }
  if (zip_close(archive.get()) != 0) throw_write_error(path, zip_strerror(archive.get()));
  static_cast<void>(archive.release());
}

std::unique_ptr<ImageStream> open_npz(const std::string& path) {
  std::vector<std::string> names = npz_names(path);
  std::vector<std::int64_t> labels;
  if (const auto at = std::ranges::find(names, "labels"); at != names.end() && names.size() > 1) {
    names.erase(at);
    labels = read_labels(path);
  }
  const std::string kWanted[] = {"samples", "images"};
  return open_npy(open_zip_member(path, choose_key(path, names, kWanted) + std::string(kSuffix)), std::move(labels));
}

std::unique_ptr<ByteSource> open_zip_member(const std::string& path, const std::string& member) {
  return std::make_unique<ZipMemberSource>(path, member);
}

}  // namespace headstart
