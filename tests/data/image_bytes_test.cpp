#include "headstart/data/image_bytes.h"

#include <gtest/gtest.h>

namespace headstart {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes convert(std::int64_t channels, const Bytes& hwc, PixelsAs as) {
  return image_from_hwc({channels, 1, static_cast<std::int64_t>(hwc.size()) / channels}, hwc, as).chw;
}

TEST(GreyOf, WeighsColoursAsRec601Does) {
  EXPECT_EQ(grey_of(255, 0, 0), 76);   // 76.245
  EXPECT_EQ(grey_of(0, 255, 0), 150);  // 149.685
  EXPECT_EQ(grey_of(0, 0, 255), 29);   // 29.07
  EXPECT_EQ(grey_of(255, 255, 255), 255);
}

TEST(GreyOf, LeavesGreysAsTheyAre) {
  for (int i = 0; i < 256; ++i) EXPECT_EQ(grey_of(i, i, i), i);
}

TEST(ImageFromHwc, PutsChannelsApart) {
  const ImageBytes image = image_from_hwc({3, 1, 2}, Bytes{1, 2, 3, 4, 5, 6}, PixelsAs::stored);
  EXPECT_EQ(image.shape, (ImageShape{3, 1, 2}));
  EXPECT_EQ(image.chw, (Bytes{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(convert(1, {7, 8}, PixelsAs::stored), (Bytes{7, 8}));
}

TEST(ImageFromHwc, RepeatsGreyAndWeighsColours) {
  EXPECT_EQ(convert(1, {7, 8}, PixelsAs::rgb), (Bytes{7, 8, 7, 8, 7, 8}));
  EXPECT_EQ(convert(3, {255, 0, 0, 0, 0, 255}, PixelsAs::grey), (Bytes{76, 29}));
  EXPECT_EQ(convert(1, {7, 8}, PixelsAs::grey), (Bytes{7, 8}));
}

TEST(ImageFromHwc, CompositesAlphaOnWhite) {
  EXPECT_EQ(convert(2, {10, 255, 10, 0, 10, 51}, PixelsAs::grey), (Bytes{10, 255, 206}));  // 255 - 245 / 5
  EXPECT_EQ(convert(2, {10, 51}, PixelsAs::rgb), (Bytes{206, 206, 206}));
  EXPECT_EQ(convert(4, {255, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 128}, PixelsAs::rgb), (Bytes{255, 255, 127, 0, 255, 127, 0, 255, 127}));
  EXPECT_EQ(convert(4, {255, 0, 0, 255, 255, 0, 0, 0}, PixelsAs::grey), (Bytes{76, 255}));
}

}  // namespace
}  // namespace headstart
