#pragma once
// Element types and arrays as the file formats (npy, npz, safetensors) know them: bytes with a dtype and a shape, little endian, C order.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace headstart {

// Every format here is little endian on disk, so values are copied without swapping.
static_assert(std::endian::native == std::endian::little, "headstart's file formats need a little-endian machine");

enum class DType { F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL };

/// Bytes an element.
std::size_t size_of(DType dtype);

/// The name safetensors uses: "F64", "U8", ...
const std::string& to_string(DType dtype);

/// The DType of a C++ type: double, float, uint8_t, int32_t or int64_t.
template <typename T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, double>) {
    return DType::F64;
  } else if constexpr (std::is_same_v<T, float>) {
    return DType::F32;
  } else if constexpr (std::is_same_v<T, std::uint8_t>) {
    return DType::U8;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return DType::I32;
  } else {
    static_assert(std::is_same_v<T, std::int64_t>, "no DType for this type");
    return DType::I64;
  }
}

/// An array that owns its bytes. shape [] is a scalar with one element.
struct Array {
  DType dtype = DType::F64;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

/// An array that lies in someone else's memory. `bytes` need not be aligned for its dtype: copy, do not cast.
struct ArrayView {
  DType dtype = DType::F64;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  ArrayView() = default;
  ArrayView(DType dtype, std::vector<std::int64_t> shape, std::span<const std::byte> bytes)
      : dtype(dtype), shape(std::move(shape)), bytes(bytes) {}
  ArrayView(const Array& array) : dtype(array.dtype), shape(array.shape), bytes(array.bytes) {}  // NOLINT: a view of it, as string_view
};

/// One entry of a file that holds several arrays.
struct NamedArray {
  std::string name;
  ArrayView array;
};

/// A view of typed values, to hand to a writer.
template <typename T>
ArrayView view_of(std::vector<std::int64_t> shape, std::span<const T> values) {
  return {dtype_of<T>(), std::move(shape), std::as_bytes(values)};
}

/// "[60000, 28, 28]", for messages.
std::string shape_to_string(std::span<const std::int64_t> shape);

/// Bytes an array of this dtype and shape takes; -1 where a size is negative or the product overflows.
std::int64_t byte_count(DType dtype, std::span<const std::int64_t> shape);

/// @throws InvalidArgument where `array.bytes` is not as long as dtype and shape say; `function` starts the message
void require_consistent(const char* function, const ArrayView& array);

/// The values as doubles, in C order (int64 beyond 2^53 is rounded).
/// @throws InvalidArgument unless the dtype is F64, F32, I64, I32 or U8
std::vector<double> to_double(const ArrayView& array);

}  // namespace headstart
