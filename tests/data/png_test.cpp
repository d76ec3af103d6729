#include "headstart/data/png.h"

#include <png.h>

#include <cstdio>
#include <functional>

#include "data_test.h"
#include "headstart/data/byte_source.h"
#include "headstart/data/tile_grid.h"

namespace headstart {
namespace {

const ImageShape kGrey{.channels = 1, .height = 2, .width = 3};
const ImageShape kColour{.channels = 3, .height = 2, .width = 2};
const std::vector<std::uint8_t> kGreyPixels{0, 50, 100, 150, 200, 255};
const std::vector<std::uint8_t> kColourPixels{1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24};

// A PNG of any kind, through libpng's simplified interface, which writes the kinds this library does not.
void write_any(const std::string& path, png_uint_32 format, const std::vector<std::uint16_t>& pixels,
               const std::vector<std::uint8_t>& colormap = {}) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = 2;
  image.height = 1;
  image.format = format;
  image.colormap_entries = 2;
  ASSERT_NE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, colormap.data()), 0) << image.message;
}

ImageShape shape_of(const std::string& path, PixelsAs as = PixelsAs::stored) { return png_shape(path, read_file(path), as); }

TEST(PngFile, IsReadBackAsItWasWritten) {
  const TempDir folder;
  write_png(folder / "grey.png", kGrey, kGreyPixels);
  write_png(folder / "colour.png", kColour, kColourPixels);
  const ImageBytes grey = read_png(folder / "grey.png");
  EXPECT_EQ(grey.shape, kGrey);
  EXPECT_EQ(grey.chw, kGreyPixels);
  const ImageBytes colour = read_png(folder / "colour.png");
  EXPECT_EQ(colour.shape, kColour);
  EXPECT_EQ(colour.chw, kColourPixels);
  EXPECT_EQ(shape_of(folder / "grey.png"), kGrey);
  EXPECT_EQ(shape_of(folder / "colour.png"), kColour);
  EXPECT_EQ(list(folder).size(), 2U);
}

TEST(PngFile, IsDecodedFromMemory) {
  const std::vector<std::uint8_t> png = encode_png(kColour, kColourPixels);
  EXPECT_EQ(decode_png("memory", std::as_bytes(std::span(png))).chw, kColourPixels);
}

TEST(PngFile, RefusesMissingEmptyAndForeignFiles) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  for (const auto& open : {std::function<void()>([&] { read_png(path); }), std::function<void()>([&] { shape_of(path); })}) {
    std::filesystem::remove(path);
    expect_data_error(path, "no such file or folder", open);
    write_text(path, "");
    expect_data_error(path, "is empty", open);
    write_text(path, "GIF89a and so on, for longer than a header");
    expect_data_error(path, "is not a PNG file", open);
    write_text(path, "\x89PNG");
    expect_data_error(path, "cannot be decoded as PNG: truncated", open);
  }
}

TEST(PngFile, RefusesATruncatedFileWhereverItIsCut) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  write_png(path, kColour, kColourPixels);
  const std::string whole = read_text(path);
  for (std::size_t size = 8; size < whole.size(); ++size) {
    write_text(path, whole.substr(0, size));
    expect_data_error(path, "cannot be decoded as PNG: ", [&] { read_png(path); });
  }
  write_text(path, whole.substr(0, 20));
  expect_data_error(path, "truncated (at byte 20)", [&] { shape_of(path); });
}

TEST(PngFile, RefusesCorruptBytesWithoutCrashing) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  write_png(path, kColour, kColourPixels);
  const std::string whole = read_text(path);
  for (std::size_t at = 8; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] ^= 0x55;
    write_text(path, bytes);
    expect_data_error(path, "", [&] { read_png(path); });
  }
  std::string bytes = whole;
  bytes[12] = 'X';
  write_text(path, bytes);
  expect_data_error(path, "no header", [&] { shape_of(path); });
}

TEST(PngFile, BelievesNoHeaderThatPromisesMoreThanAFileCanHold) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  const std::vector<std::uint8_t> small = encode_png(kGrey, kGreyPixels);
  std::string bytes(small.begin(), small.end());
  // 60000 x 60000 pixels, with the checksum of such a header.
  bytes.replace(16, 8, std::string("\x00\x00\xEA\x60\x00\x00\xEA\x60", 8));
  const auto crc = static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(bytes.data()) + 12, 17));
  for (int i = 0; i < 4; ++i) bytes[29 + static_cast<std::size_t>(i)] = static_cast<char>(crc >> (24 - 8 * i));
  write_text(path, bytes);
  expect_data_error(path, "truncated, expected 60000 x 60000 pixels", [&] { read_png(path); });
}

TEST(PngFile, RefusesWhatIsConvertedOnlyOnRequest) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  const auto expect_refused = [&](const std::string& what) {
    for (const auto& open : {std::function<void()>([&] { read_png(path); }), std::function<void()>([&] { shape_of(path); })}) {
      expect_error<DataError>({path, "expected an 8-bit grey or RGB PNG, got " + what, "converted only on request"}, open);
    }
  };
  write_any(path, PNG_FORMAT_RGBA, {0x0102, 0x0340, 0x0506, 0x0780});
  expect_refused("an alpha channel");
  write_any(path, PNG_FORMAT_GA, {0x0102, 0x0304});
  expect_refused("an alpha channel");
  write_any(path, PNG_FORMAT_LINEAR_Y, {0x0102, 0x0304});
  expect_refused("16 bits a channel");
  write_any(path, PNG_FORMAT_RGB_COLORMAP, {0x0100}, {1, 2, 3, 4, 5, 6});
  expect_refused("a palette");
}

// libpng's simplified interface writes neither of these.
TEST(PngFile, RefusesFewBitsAndTransparentColours) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  const auto write = [&](int bits, bool transparent) {
    FILE* const file = std::fopen(path.c_str(), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, 1, 1, bits, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_color_16 grey{};
    if (transparent) png_set_tRNS(png, info, nullptr, 0, &grey);
    png_write_info(png, info);
    png_byte pixel[] = {static_cast<png_byte>(bits == 16 ? 0x4B : 0), 0xD7};
    png_write_row(png, pixel);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    std::fclose(file);
  };
  write(1, false);
  expect_data_error(path, "fewer than 8 bits a pixel, which is converted only on request", [&] { read_png(path); });
  EXPECT_EQ(read_png(path, PixelsAs::rgb).chw, (std::vector<std::uint8_t>{0, 0, 0}));
  write(8, true);
  expect_data_error(path, "a transparent colour, which is converted only on request", [&] { read_png(path); });
  EXPECT_EQ(read_png(path, PixelsAs::grey).chw, (std::vector<std::uint8_t>{255}));
  write(16, false);
  EXPECT_EQ(read_png(path, PixelsAs::grey).chw, (std::vector<std::uint8_t>{0x4C}));
}

TEST(PngFile, IsConvertedOnRequestWhateverItsKind) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  const auto expect = [&](const std::vector<std::uint8_t>& rgb, const std::vector<std::uint8_t>& grey) {
    EXPECT_EQ(read_png(path, PixelsAs::rgb).chw, rgb);
    EXPECT_EQ(read_png(path, PixelsAs::grey).chw, grey);
    EXPECT_EQ(shape_of(path, PixelsAs::rgb), (ImageShape{3, 1, 2}));
    EXPECT_EQ(shape_of(path, PixelsAs::grey), (ImageShape{1, 1, 2}));
  };
  // Pixels of two are (200, 100, 50), opaque, and (10, 20, 30), transparent, as little-endian pairs of bytes.
  write_any(path, PNG_FORMAT_RGBA, {0x64C8, 0xFF32, 0x140A, 0x001E});
  expect({200, 255, 100, 255, 50, 255}, {124, 255});
  write_any(path, PNG_FORMAT_GA, {0xFF64, 0x0014});
  expect({100, 255, 100, 255, 100, 255}, {100, 255});
  write_any(path, PNG_FORMAT_RGB_COLORMAP, {0x0100}, {200, 100, 50, 0, 0, 255});
  expect({200, 0, 100, 0, 50, 255}, {124, 29});
  write_any(path, PNG_FORMAT_RGB, {0x64C8, 0x0032, 0xFF00});
  expect({200, 0, 100, 0, 50, 255}, {124, 29});
}

TEST(PngFile, ReadsInterlacedImages) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  FILE* const file = std::fopen(path.c_str(), "wb");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_set_IHDR(png, info, 3, 2, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_ADAM7, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<std::uint8_t> pixels = kGreyPixels;
  png_bytep rows[] = {pixels.data(), pixels.data() + 3};
  png_set_rows(png, info, rows);
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  std::fclose(file);
  EXPECT_EQ(read_png(path).chw, kGreyPixels);
}

TEST(PngFile, IsNotWrittenFromBadInputAndLeavesNothingBehind) {
  const TempDir folder;
  const std::string path = folder / "x.png";
  expect_error<InvalidArgument>({"[encode_png] expected C*H*W values with C 1 or 3, got shape 1,2,3 and 2 values"}, [&] {
    write_png(path, kGrey, {{1, 2}});
  });
  expect_error<InvalidArgument>({"got shape 2,1,1"}, [&] { write_png(path, {2, 1, 1}, std::vector<std::uint8_t>(2)); });
  expect_error<InvalidArgument>({"got shape 1,0,1"}, [&] { write_png(path, {1, 0, 1}, {}); });
  expect_error<InvalidArgument>({"expected an image PNG can hold, got shape 1,1,2000000"}, [&] {
    write_png(path, {1, 1, 2000000}, std::vector<std::uint8_t>(2000000));
  });
  expect_data_error(folder / "none/x.png", "cannot be written", [&] { write_png(folder / "none/x.png", kGrey, kGreyPixels); });
  EXPECT_TRUE(list(folder).empty());
}

TEST(TileGrid, LaysImagesInRowsWithTwoPixelsBetween) {
  const ImageShape shape{.channels = 1, .height = 1, .width = 2};
  const ImageBytes grid = tile_grid(shape, std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}, 2);
  EXPECT_EQ(grid.shape, (ImageShape{.channels = 1, .height = 8, .width = 10}));
  std::vector<std::uint8_t> expected(80, 255);
  expected[2 * 10 + 2] = 1;
  expected[2 * 10 + 3] = 2;
  expected[2 * 10 + 6] = 3;
  expected[2 * 10 + 7] = 4;
  expected[5 * 10 + 2] = 5;
  expected[5 * 10 + 3] = 6;
  EXPECT_EQ(grid.chw, expected);
}

TEST(TileGrid, KeepsChannelsApartAndWastesNoColumns) {
  const ImageBytes grid = tile_grid({3, 1, 1}, std::vector<std::uint8_t>{1, 2, 3}, 8);
  EXPECT_EQ(grid.shape, (ImageShape{3, 5, 5}));
  EXPECT_EQ(grid.chw[12], 1);
  EXPECT_EQ(grid.chw[25 + 12], 2);
  EXPECT_EQ(grid.chw[50 + 12], 3);
}

TEST(TileGrid, RefusesWhatIsNoWholeNumberOfImages) {
  const std::vector<std::uint8_t> five(5);
  expect_error<InvalidArgument>({"[tile_grid] expected N >= 1 images of shape 1,1,2, got 5 values"}, [&] {
    tile_grid({1, 1, 2}, five, 2);
  });
  expect_error<InvalidArgument>({"[tile_grid] expected N >= 1 images", "got 0 values"}, [&] { tile_grid({1, 1, 2}, {}, 2); });
  expect_error<InvalidArgument>({"[tile_grid] expected columns >= 1, got 0"}, [&] { tile_grid({1, 1, 5}, five, 0); });
}

}  // namespace
}  // namespace headstart
