#include "headstart/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "headstart/data/raw_images.h"
#include "headstart/error.h"

namespace headstart {

namespace {

struct IdxHeader {
  std::vector<std::int64_t> shape;
  std::int64_t data_offset = 0;
};

const char* type_name(int type) {
  switch (type) {
    case 0x08:
      return "uint8";
    case 0x09:
      return "int8";
    case 0x0B:
      return "int16";
    case 0x0C:
      return "int32";
    case 0x0D:
      return "float32";
    case 0x0E:
      return "float64";
    default:
      return nullptr;
  }
}

IdxHeader read_header(ByteSource& source) {
  std::array<std::uint8_t, 4> magic{};
  const std::size_t got = source.read(std::as_writable_bytes(std::span(magic)));
  if (got == 0) throw DataError(source.name(), "is empty");
  const char* const type = got == magic.size() ? type_name(magic[2]) : nullptr;
  if (type == nullptr || magic[0] != 0 || magic[1] != 0 || magic[3] == 0) throw DataError(source.name(), "is not an IDX file");
  if (magic[2] != 0x08) throw DataError(source.name(), fmt::format("expected IDX of uint8, got {}", type), 2);

  std::vector<std::uint8_t> sizes(4U * magic[3]);
  if (source.read(std::as_writable_bytes(std::span(sizes))) < sizes.size()) {
    throw DataError(source.name(), "truncated IDX header", static_cast<std::int64_t>(magic.size()));
  }
  IdxHeader header{.shape = {}, .data_offset = static_cast<std::int64_t>(magic.size() + sizes.size())};
  for (std::size_t i = 0; i < sizes.size(); i += 4) {
    header.shape.push_back(std::int64_t{sizes[i]} << 24 | std::int64_t{sizes[i + 1]} << 16 | std::int64_t{sizes[i + 2]} << 8 |
                           sizes[i + 3]);
  }
  return header;
}

// "" where the name does not follow the convention or there is no such file.
std::string find_labels(const std::string& path) {
  constexpr std::string_view kImages = "images-idx3";
  const std::filesystem::path images(path);
  std::string name = images.filename().string();
  const std::size_t at = name.find(kImages);
  if (at == std::string::npos) return "";
  name.replace(at, kImages.size(), "labels-idx1");
  const std::string other = name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name + ".gz";
  for (const std::string& candidate : {name, other}) {
    const auto labels = images.parent_path() / candidate;
    if (std::error_code ignored; std::filesystem::exists(labels, ignored)) return labels.string();
  }
  return "";
}

}  // namespace

std::unique_ptr<ImageStream> open_idx(const std::string& path) { return open_idx(open_file_source(path), path); }

std::unique_ptr<ImageStream> open_idx(std::unique_ptr<ByteSource> source, const std::string& path) {
  const IdxHeader header = read_header(*source);
  const RawImages images = images_of_array(path, DType::U8, header.shape, header.data_offset);
  std::vector<std::int64_t> labels;
  if (const std::string labels_path = find_labels(path); !labels_path.empty()) {
    labels = read_idx_labels(labels_path);
    if (static_cast<std::int64_t>(labels.size()) != images.count) {
      throw DataError(labels_path, fmt::format("expected {} labels, one an image of {}, got {}", images.count, path, labels.size()));
    }
  }
  return stream_raw_images(std::move(source), images, std::move(labels));
}

bool idx_header_fits(std::span<const std::byte> start, std::int64_t file_size) {
  try {
    const auto source = open_memory_source("", start);
    const IdxHeader header = read_header(*source);
    const std::int64_t bytes = byte_count(DType::U8, header.shape);
    return bytes >= 0 && bytes == file_size - header.data_offset;
  } catch (const DataError&) {
    return false;
  }
}

std::vector<std::int64_t> read_idx_labels(const std::string& path) {
  const auto source = open_file_source(path);
  const IdxHeader header = read_header(*source);
  if (header.shape.size() != 1) {
    throw DataError(path, fmt::format("expected IDX labels of shape [N], got {}", shape_to_string(header.shape)));
  }
  const std::vector<std::byte> bytes = read_rest(*source);
  const auto count = static_cast<std::size_t>(header.shape[0]);
  if (bytes.size() != count) {
    const char* const what = bytes.size() < count ? "truncated" : "trailing bytes";
    throw DataError(path, fmt::format("{}: expected {} labels, got {}", what, count, bytes.size()),
                    header.data_offset + static_cast<std::int64_t>(std::min(bytes.size(), count)));
  }
  std::vector<std::int64_t> labels(count);
  std::transform(bytes.begin(), bytes.end(), labels.begin(), [](std::byte label) { return std::to_integer<std::int64_t>(label); });
  return labels;
}

}  // namespace headstart
