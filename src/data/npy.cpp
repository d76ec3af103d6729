#include "headstart/data/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "headstart/data/atomic_file.h"
#include "headstart/data/raw_images.h"
#include "headstart/error.h"
#include "npy_dict.h"

namespace headstart {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct Descr {
  DType dtype;
  const char* text;
};
constexpr std::array<Descr, 5> kDescrs{
    {{DType::F64, "<f8"}, {DType::F32, "<f4"}, {DType::I64, "<i8"}, {DType::I32, "<i4"}, {DType::U8, "|u1"}}};

DType parse_descr(const std::string& name, const std::string& descr) {
  // One byte has no order, whatever its prefix.
  if (descr == "<u1" || descr == ">u1" || descr == "=u1") return DType::U8;
  for (const auto& [dtype, text] : kDescrs) {
    if (descr == text) return dtype;
  }
  if (descr.starts_with('>')) throw DataError(name, fmt::format("is big endian (dtype '{}'), expected little endian", descr));
  throw DataError(name, fmt::format("expected dtype u1, i4, i8, f4 or f8, got '{}'", descr));
}

template <typename T>
void require_finite_as(const std::string& name, std::span<const std::byte> bytes, std::int64_t data_offset) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    if (std::isfinite(value)) continue;
    throw DataError(name, fmt::format("expected finite values, got {}", value), data_offset + static_cast<std::int64_t>(at));
  }
}

std::string read_dict(ByteSource& source, std::int64_t& data_offset) {
  std::array<char, 8> start{};
  const std::size_t got = source.read(std::as_writable_bytes(std::span(start)));
  if (got == 0) throw DataError(source.name(), "is empty");
  if (!std::string_view(start.data(), got).starts_with(kMagic)) throw DataError(source.name(), "is not an npy file");
  const int version = static_cast<unsigned char>(start[6]);
  if (version != 1 && version != 2) throw DataError(source.name(), fmt::format("expected npy version 1 or 2, got {}", version), 6);

  std::array<std::uint8_t, 4> length_bytes{};
  const std::size_t length_size = version == 1 ? 2 : 4;
  const auto length_read = source.read(std::as_writable_bytes(std::span(length_bytes).first(length_size)));
  std::uint32_t length = 0;
  std::memcpy(&length, length_bytes.data(), sizeof(length));
  data_offset = static_cast<std::int64_t>(start.size() + length_size) + length;
  // The length is bounded by the file before it is believed.
  if (length_read < length_size || data_offset > source.max_size()) throw DataError(source.name(), "truncated npy header", 8);
  constexpr std::uint32_t kLongest = 1 << 20;
  if (length > kLongest) throw DataError(source.name(), fmt::format("has an npy header of {} bytes", length), 8);
  std::string dict(length, '\0');
  if (source.read(std::as_writable_bytes(std::span(dict))) < length) throw DataError(source.name(), "truncated npy header", 8);
  return dict;
}

}  // namespace

NpyHeader read_npy_header(const std::string& path) { return read_npy_header(*open_file_source(path)); }

NpyHeader read_npy_header(ByteSource& source) {
  NpyHeader header;
  const std::string text = read_dict(source, header.data_offset);
  const NpyDict dict = parse_npy_dict(source.name(), text, header.data_offset - static_cast<std::int64_t>(text.size()));
  header.dtype = parse_descr(source.name(), dict.descr);
  header.shape = dict.shape;
  if (dict.fortran_order && dict.shape.size() > 1) throw DataError(source.name(), "is in Fortran order, expected C order");

  const std::int64_t bytes = byte_count(header.dtype, header.shape);
  if (bytes < 0 || bytes > source.max_size() - header.data_offset) {
    throw DataError(source.name(), fmt::format("truncated: expected {} {}", to_string(header.dtype), shape_to_string(header.shape)),
                    source.size().value_or(DataError::kNoOffset));
  }
  if (const auto size = source.size(); size && *size > header.data_offset + bytes) {
    throw DataError(source.name(), fmt::format("{} trailing bytes", *size - header.data_offset - bytes), header.data_offset + bytes);
  }
  return header;
}

Array read_npy(const std::string& path) { return read_npy(*open_file_source(path)); }

Array read_npy(ByteSource& source) {
  const NpyHeader header = read_npy_header(source);
  Array array{.dtype = header.dtype, .shape = header.shape, .bytes = {}};
  array.bytes.resize(static_cast<std::size_t>(byte_count(header.dtype, header.shape)));
  const auto end = header.data_offset + static_cast<std::int64_t>(array.bytes.size());
  if (const std::size_t got = source.read(array.bytes); got < array.bytes.size()) {
    throw DataError(source.name(), fmt::format("truncated: expected {} {}", to_string(header.dtype), shape_to_string(header.shape)),
                    header.data_offset + static_cast<std::int64_t>(got));
  }
  std::byte extra{};
  if (source.read({&extra, 1}) != 0) throw DataError(source.name(), "trailing bytes after the array", end);
  if (header.dtype == DType::F32) require_finite_as<float>(source.name(), array.bytes, header.data_offset);
  if (header.dtype == DType::F64) require_finite_as<double>(source.name(), array.bytes, header.data_offset);
  return array;
}

std::string encode_npy_header(DType dtype, std::span<const std::int64_t> shape) {
  const char* descr = nullptr;
  for (const auto& known : kDescrs) {
    if (known.dtype == dtype) descr = known.text;
  }
  if (descr == nullptr) throw InvalidArgument(fmt::format("[write_npy] expected F64, F32, I64, I32 or U8, got {}", to_string(dtype)));
  // A tuple of one needs its comma.
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", descr, fmt::join(shape, ", "),
                                 shape.size() == 1 ? "," : "");
  constexpr std::size_t kAlignment = 64;
  constexpr std::size_t kPrefix = kMagic.size() + 4;
  dict.append(kAlignment - (kPrefix + dict.size() + 1) % kAlignment, ' ');
  dict += '\n';
  if (dict.size() > 0xFFFF) throw InvalidArgument(fmt::format("[write_npy] expected a few dimensions, got {}", shape.size()));
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(dict.size() & 0xFF), static_cast<char>(dict.size() >> 8)};
  return header + dict;
}

void write_npy(const std::string& path, const ArrayView& array) {
  require_consistent("write_npy", array);
  const std::string header = encode_npy_header(array.dtype, array.shape);
  AtomicFile file(path);
  file.write(header);
  file.write(array.bytes);
  file.commit();
}

std::unique_ptr<ImageStream> open_npy(const std::string& path) { return open_npy(open_file_source(path)); }

std::unique_ptr<ImageStream> open_npy(std::unique_ptr<ByteSource> source, std::vector<std::int64_t> labels) {
  const NpyHeader header = read_npy_header(*source);
  const RawImages images = images_of_array(source->name(), header.dtype, header.shape, header.data_offset);
  if (!labels.empty() && static_cast<std::int64_t>(labels.size()) != images.count) {
    throw DataError(source->name(), fmt::format("expected {} labels, one an image, got {}", images.count, labels.size()));
  }
  return stream_raw_images(std::move(source), images, std::move(labels));
}

}  // namespace headstart
