#include "headstart/data/pixels.h"

#include <limits>

#include "data_test.h"

namespace headstart {
namespace {

TEST(Pixels, SpanDataUnitsFromMinusOneToOne) {
  EXPECT_EQ(to_data_units(0), -1.0F);
  EXPECT_EQ(to_data_units(255), 1.0F);
  EXPECT_EQ(to_data_units(128), 128.0F / 127.5F - 1.0F);
}

TEST(Pixels, SurviveTheWayThereAndBack) {
  std::vector<std::uint8_t> pixels(256);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i);
  std::vector<float> values(256);
  to_data_units(pixels, values);
  EXPECT_EQ(to_uint8(std::span<const float>(values)), pixels);
  const std::vector<double> wide(values.begin(), values.end());
  EXPECT_EQ(to_uint8(std::span<const double>(wide)), pixels);
}

TEST(Pixels, RoundToTheNearestAndClamp) {
  // 127.5 x + 128: 0 is 128, and a half step below a pixel is the pixel.
  const std::vector<double> values{-7.0, -1.0, 0.0, 0.4999 / 127.5, 1.0 - 0.51 / 127.5, 1.0, 1e30, -1e30};
  EXPECT_EQ(to_uint8(std::span(values)), (std::vector<std::uint8_t>{0, 0, 128, 128, 254, 255, 255, 0}));
}

TEST(Pixels, RefuseNonFiniteValues) {
  const std::vector<double> nan{0.0, std::numeric_limits<double>::quiet_NaN()};
  const std::vector<float> inf{std::numeric_limits<float>::infinity()};
  expect_error<NumericalError>({"[to_uint8] expected finite values, got nan at index 1"}, [&] { to_uint8(std::span(nan)); });
  expect_error<NumericalError>({"[to_uint8] expected finite values, got inf at index 0"}, [&] { to_uint8(std::span(inf)); });
}

TEST(Pixels, RefuseSpansOfDifferentSizes) {
  const std::vector<std::uint8_t> pixels(3);
  std::vector<float> out(2);
  expect_error<InvalidArgument>({"[to_data_units] expected room for 3 values, got 2"}, [&] { to_data_units(pixels, out); });
}

}  // namespace
}  // namespace headstart
