#include "headstart/data/jpeg.h"

#include <cmath>

#include "data_test.h"
#include "jpeg_fixture.h"

namespace headstart {
namespace {

using Pixels = std::vector<std::uint8_t>;

constexpr ImageShape kGrey{.channels = 1, .height = 9, .width = 11};
constexpr ImageShape kColour{.channels = 3, .height = 9, .width = 11};

std::span<const std::byte> bytes_in(const std::string& text) { return std::as_bytes(std::span(text)); }

ImageBytes decode(const std::string& jpeg, PixelsAs as = PixelsAs::stored) { return decode_jpeg("x.jpg", bytes_in(jpeg), as); }

Pixels constant(std::size_t count, const Pixels& pixel) {
  Pixels pixels;
  for (std::size_t i = 0; i < count; ++i) pixels.insert(pixels.end(), pixel.begin(), pixel.end());
  return pixels;
}

// A gradient in every channel, each in another direction.
Pixels gradient(const ImageShape& shape) {
  Pixels pixels;
  for (std::int64_t y = 0; y < shape.height; ++y) {
    for (std::int64_t x = 0; x < shape.width; ++x) {
      const std::int64_t values[] = {20 * x, 25 * y, 120 + 10 * (x - y)};
      for (std::int64_t c = 0; c < shape.channels; ++c) pixels.push_back(static_cast<std::uint8_t>(values[c]));
    }
  }
  return pixels;
}

TEST(JpegFile, OfOneValueComesBackExactly) {
  const ImageBytes grey = decode(jpeg_bytes(kGrey, constant(99, {100})));
  EXPECT_EQ(grey.shape, kGrey);
  EXPECT_EQ(grey.chw, constant(99, {100}));
  // Stored as RGB, so that no change of colour space rounds.
  const ImageBytes colour = decode(jpeg_bytes(kColour, constant(99, {10, 200, 60}), {.stored = JCS_RGB}));
  EXPECT_EQ(colour.shape, kColour);
  EXPECT_EQ(colour.chw[0], 10);
  EXPECT_EQ(colour.chw[99], 200);
  EXPECT_EQ(colour.chw[198], 60);
}

TEST(JpegFile, IsCloseToWhatItWasMadeOfBaselineOrProgressive) {
  const Pixels pixels = gradient(kColour);
  for (const bool progressive : {false, true}) {
    const ImageBytes image = decode(jpeg_bytes(kColour, pixels, {.progressive = progressive}));
    const ImageBytes expected = image_from_hwc(kColour, pixels, PixelsAs::stored);
    for (std::size_t i = 0; i < pixels.size(); ++i) EXPECT_NEAR(image.chw[i], expected.chw[i], 4) << i;
  }
}

TEST(JpegFile, IsConvertedOnRequest) {
  const std::string colour = jpeg_bytes(kColour, constant(99, {10, 200, 60}), {.stored = JCS_RGB});
  EXPECT_EQ(decode(colour, PixelsAs::grey).chw, constant(99, {grey_of(10, 200, 60)}));
  EXPECT_EQ(jpeg_shape("x.jpg", bytes_in(colour), PixelsAs::grey), kGrey);
  const std::string grey = jpeg_bytes(kGrey, constant(99, {100}));
  EXPECT_EQ(decode(grey, PixelsAs::rgb).chw, constant(297, {100}));
  EXPECT_EQ(jpeg_shape("x.jpg", bytes_in(grey), PixelsAs::rgb), kColour);
}

TEST(JpegFile, CutAnywhereIsAnErrorAndNoGreyArea) {
  for (const bool progressive : {false, true}) {
    const std::string whole = jpeg_bytes(kColour, gradient(kColour), {.progressive = progressive});
    for (std::size_t size = 2; size < whole.size(); ++size) {
      expect_data_error("x.jpg", "cannot be decoded as JPEG: ", [&] { decode(whole.substr(0, size)); });
    }
    expect_data_error("x.jpg", "cannot be decoded as JPEG: truncated", [&] { decode(whole.substr(0, whole.size() - 2)); });
  }
}

TEST(JpegFile, RefusesCorruptBytesWithoutCrashing) {
  const std::string whole = jpeg_bytes(kColour, gradient(kColour));
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    try {
      decode(bytes);  // some bytes are only pixels
    } catch (const DataError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

TEST(JpegFile, RefusesForeignBytesAndCmyk) {
  expect_data_error("x.jpg", "cannot be decoded as JPEG: Not a JPEG file", [] { decode("GIF89a and so on"); });
  const std::string cmyk = jpeg_bytes({4, 8, 8}, Pixels(256, 7));
  for (const PixelsAs as : {PixelsAs::stored, PixelsAs::grey, PixelsAs::rgb}) {
    expect_data_error("x.jpg", "expected a grey or RGB JPEG, got CMYK", [&] { decode(cmyk, as); });
    expect_data_error("x.jpg", "expected a grey or RGB JPEG, got CMYK", [&] { jpeg_shape("x.jpg", bytes_in(cmyk), as); });
  }
}

TEST(JpegFile, BelievesNoHeaderThatPromisesMoreThanAFileCanHold) {
  std::string bytes = jpeg_bytes(kGrey, constant(99, {100}));
  const std::size_t at = bytes.find("\xFF\xC0");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at + 5, 4, "\xEA\x60\xEA\x60");  // 60000 x 60000
  expect_data_error("x.jpg", "truncated, expected shape 1,60000,60000", [&] { decode(bytes); });
}

TEST(JpegShape, IsReadFromTheStartAlone) {
  const std::string whole = jpeg_bytes(kColour, gradient(kColour));
  EXPECT_EQ(jpeg_shape("x.jpg", bytes_in(whole).first(whole.find("\xFF\xDA") + 20)), kColour);
  expect_data_error("x.jpg", "cannot be decoded as JPEG: ", [&] { jpeg_shape("x.jpg", bytes_in(whole).first(20)); });
}

}  // namespace
}  // namespace headstart
