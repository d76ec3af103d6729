#include "headstart/data/array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstring>

#include "headstart/error.h"

namespace headstart {

namespace {

struct DTypeInfo {
  std::string name;
  std::size_t size;
};

const DTypeInfo& info(DType dtype) {
  // In the order of the enumeration.
  static const std::array<DTypeInfo, 13> kInfo{{{"F64", 8},
                                                {"F32", 4},
                                                {"F16", 2},
                                                {"BF16", 2},
                                                {"I64", 8},
                                                {"I32", 4},
                                                {"I16", 2},
                                                {"I8", 1},
                                                {"U64", 8},
                                                {"U32", 4},
                                                {"U16", 2},
                                                {"U8", 1},
                                                {"BOOL", 1}}};
  return kInfo.at(static_cast<std::size_t>(dtype));
}

template <typename T>
std::vector<double> widen(std::span<const std::byte> bytes) {
  std::vector<double> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
  return values;
}

}  // namespace

std::size_t size_of(DType dtype) { return info(dtype).size; }

const std::string& to_string(DType dtype) { return info(dtype).name; }

std::string shape_to_string(std::span<const std::int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::int64_t byte_count(DType dtype, std::span<const std::int64_t> shape) {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return -1;
    // A zero must not hide an overflow or a negative size that comes after it.
    empty = empty || size == 0;
    if (size != 0 && __builtin_mul_overflow(bytes, size, &bytes)) return -1;
  }
  return empty ? 0 : bytes;
}

void require_consistent(const char* function, const ArrayView& array) {
  const std::int64_t expected = byte_count(array.dtype, array.shape);
  if (expected < 0 || static_cast<std::size_t>(expected) != array.bytes.size()) {
    throw InvalidArgument(fmt::format("[{}] expected {} bytes for {} {}, got {}", function, expected, to_string(array.dtype),
                                      shape_to_string(array.shape), array.bytes.size()));
  }
}

std::vector<double> to_double(const ArrayView& array) {
  require_consistent("to_double", array);
  switch (array.dtype) {
    case DType::F64:
      return widen<double>(array.bytes);
    case DType::F32:
      return widen<float>(array.bytes);
    case DType::I64:
      return widen<std::int64_t>(array.bytes);
    case DType::I32:
      return widen<std::int32_t>(array.bytes);
    case DType::U8:
      return widen<std::uint8_t>(array.bytes);
    default:
      throw InvalidArgument(fmt::format("[to_double] expected F64, F32, I64, I32 or U8, got {}", to_string(array.dtype)));
  }
}

}  // namespace headstart
