#include "headstart/data/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zip.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <set>

#include "headstart/error.h"
#include "zip_archive.h"

namespace headstart {

namespace {

constexpr std::string_view kSuffix = ".npy";

// Closing without commit: what failed to be written must leave nothing.
struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
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

bool is_zip(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[2] = {};
  return std::filesystem::is_regular_file(path) && file.read(magic, 2) && magic[0] == 'P' && magic[1] == 'K';
}

std::vector<std::string> npz_names(const std::string& path) {
  const ZipArchive archive(path);
  std::vector<std::string> names;
  for (const std::string& name : archive.names()) {
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
  std::unique_ptr<zip_t, Discard> archive(zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (!archive) throw_write_error(path, zip_message(code));
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
  const ZipArchive archive(path);
  const auto at = std::ranges::find(archive.names(), member);
  if (at == archive.names().end()) throw DataError(path, fmt::format("has no member {}", member));
  return archive.open(static_cast<std::size_t>(at - archive.names().begin()));
}

}  // namespace headstart
