#include "headstart/data/array.h"

#include "data_test.h"

namespace headstart {
namespace {

TEST(Array, KnowsTheSizeOfEveryType) {
  EXPECT_EQ(size_of(DType::F64), 8U);
  EXPECT_EQ(size_of(DType::BF16), 2U);
  EXPECT_EQ(size_of(DType::BOOL), 1U);
  EXPECT_EQ(to_string(DType::BOOL), "BOOL");
  EXPECT_EQ(to_string(dtype_of<float>()), "F32");
}

TEST(Array, CountsBytesAndRefusesOverflow) {
  const std::vector<std::int64_t> scalar;
  const std::vector<std::int64_t> matrix{3, 5};
  const std::vector<std::int64_t> empty{0, std::int64_t{1} << 40};
  const std::vector<std::int64_t> huge{std::int64_t{1} << 40, std::int64_t{1} << 40};
  const std::vector<std::int64_t> hidden{0, std::int64_t{1} << 40, std::int64_t{1} << 40};
  const std::vector<std::int64_t> negative{0, -1};
  EXPECT_EQ(byte_count(DType::F64, scalar), 8);
  EXPECT_EQ(byte_count(DType::F32, matrix), 60);
  EXPECT_EQ(byte_count(DType::F32, empty), 0);
  EXPECT_EQ(byte_count(DType::F32, huge), -1);
  EXPECT_EQ(byte_count(DType::F32, hidden), -1);
  EXPECT_EQ(byte_count(DType::F32, negative), -1);
}

TEST(Array, WidensEveryNumericTypeToDouble) {
  const std::vector<std::int64_t> longs{-1, 7};
  const std::vector<std::int32_t> ints{-2, 8};
  const std::vector<std::uint8_t> bytes{3, 255};
  const std::vector<float> floats{0.5F, -0.25F};
  EXPECT_EQ(to_double(view_of<std::int64_t>({2}, longs)), (std::vector<double>{-1, 7}));
  EXPECT_EQ(to_double(view_of<std::int32_t>({2}, ints)), (std::vector<double>{-2, 8}));
  EXPECT_EQ(to_double(view_of<std::uint8_t>({2}, bytes)), (std::vector<double>{3, 255}));
  EXPECT_EQ(to_double(view_of<float>({2}, floats)), (std::vector<double>{0.5, -0.25}));
}

TEST(Array, RefusesToWidenHalvesAndInconsistentSizes) {
  const std::vector<std::byte> two(2);
  expect_error<InvalidArgument>({"[to_double]", "got F16"}, [&] { to_double({DType::F16, {1}, two}); });
  expect_error<InvalidArgument>({"[to_double] expected 8 bytes for F64 [1], got 2"}, [&] { to_double({DType::F64, {1}, two}); });
}

}  // namespace
}  // namespace headstart
