#include "headstart/data/idx.h"

#include <numeric>

#include "data_test.h"
#include "headstart/data/pixels.h"

namespace headstart {
namespace {

// Three images of 2 x 2: 0, 1, 2, ... 11.
std::string twelve_pixels() {
  std::string pixels(12, '\0');
  std::iota(pixels.begin(), pixels.end(), '\0');
  return pixels;
}

std::vector<float> twelve_values() {
  std::vector<float> values;
  for (std::uint8_t i = 0; i < 12; ++i) values.push_back(to_data_units(i));
  return values;
}

TEST(IdxReader, ReadsPlainAndGzipFiles) {
  const TempDir folder;
  write_text(folder / "plain", idx_bytes({3, 2, 2}, twelve_pixels()));
  write_gzip(folder / "packed.gz", idx_bytes({3, 2, 2}, twelve_pixels()));
  for (const char* const name : {"plain", "packed.gz"}) {
    const auto stream = open_idx(folder / name);
    EXPECT_EQ(stream->shape(), (ImageShape{.channels = 1, .height = 2, .width = 2}));
    EXPECT_EQ(stream->count(), 3);
    EXPECT_TRUE(stream->is_uint8());
    EXPECT_TRUE(stream->labels().empty());
    EXPECT_EQ(read_all(*stream), twelve_values());
    stream->rewind();
    EXPECT_EQ(read_all(*stream, 1), twelve_values());
  }
}

TEST(IdxReader, ReadsColourImagesInEitherOrder) {
  const TempDir folder;
  write_text(folder / "last", idx_bytes({1, 2, 2, 3}, twelve_pixels()));
  write_text(folder / "first", idx_bytes({1, 3, 2, 2}, twelve_pixels()));
  const auto last = open_idx(folder / "last");
  EXPECT_EQ(last->shape(), (ImageShape{.channels = 3, .height = 2, .width = 2}));
  std::vector<float> expected;
  for (const std::uint8_t pixel : {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}) expected.push_back(to_data_units(pixel));
  EXPECT_EQ(read_all(*last), expected);
  EXPECT_EQ(read_all(*open_idx(folder / "first")), twelve_values());
}

TEST(IdxReader, FindsTheLabelsBesideTheImages) {
  const TempDir folder;
  write_gzip(folder / "x-images-idx3-ubyte.gz", idx_bytes({3, 2, 2}, twelve_pixels()));
  write_text(folder / "x-labels-idx1-ubyte", idx_bytes({3}, "\x05\x09\x01"));
  EXPECT_EQ(open_idx(folder / "x-images-idx3-ubyte.gz")->labels(), (std::vector<std::int64_t>{5, 9, 1}));
  write_text(folder / "y-images-idx3-ubyte", idx_bytes({3, 2, 2}, twelve_pixels()));
  write_gzip(folder / "y-labels-idx1-ubyte.gz", idx_bytes({3}, "\x01\x02\x03"));
  EXPECT_EQ(open_idx(folder / "y-images-idx3-ubyte")->labels(), (std::vector<std::int64_t>{1, 2, 3}));
}

TEST(IdxReader, RefusesLabelsThatDoNotFit) {
  const TempDir folder;
  const std::string labels = folder / "x-labels-idx1-ubyte";
  write_text(folder / "x-images-idx3-ubyte", idx_bytes({3, 2, 2}, twelve_pixels()));
  const auto open = [&] { open_idx(folder / "x-images-idx3-ubyte"); };
  write_text(labels, idx_bytes({2}, "ab"));
  expect_data_error(labels, "expected 3 labels, one an image of", open);
  write_text(labels, idx_bytes({3}, "ab"));
  expect_data_error(labels, "truncated: expected 3 labels, got 2 (at byte 10)", open);
  write_text(labels, idx_bytes({3}, "abcd"));
  expect_data_error(labels, "trailing bytes: expected 3 labels, got 4 (at byte 11)", open);
  write_text(labels, idx_bytes({1, 3}, "abc"));
  expect_data_error(labels, "expected IDX labels of shape [N], got [1, 3]", open);
  write_text(labels, "");
  expect_data_error(labels, "is empty", open);
  write_text(labels, "text");
  expect_data_error(labels, "is not an IDX file", open);
}

TEST(IdxReader, RefusesATruncatedFile) {
  const TempDir folder;
  const std::string path = folder / "x";
  const std::string whole = idx_bytes({3, 2, 2}, twelve_pixels());
  for (const std::size_t size : {5, 15}) {
    write_text(path, whole.substr(0, size));
    expect_data_error(path, "truncated IDX header", [&] { open_idx(path); });
  }
  for (const std::size_t size : {16, 17, 27}) {
    write_text(path, whole.substr(0, size));
    expect_data_error(path, "truncated: expected 3 images of shape 1,2,2 (at byte", [&] { open_idx(path); });
  }
  // What is inside a gzip file is known only at its end.
  write_gzip(path, whole.substr(0, 27));
  const auto stream = open_idx(path);
  expect_data_error(path, "truncated: expected 3 images (at byte 27)", [&] { read_all(*stream, 3); });
}

TEST(IdxReader, RefusesTrailingBytes) {
  const TempDir folder;
  const std::string path = folder / "x";
  write_text(path, idx_bytes({3, 2, 2}, twelve_pixels() + "!"));
  expect_data_error(path, "1 trailing bytes (at byte 28)", [&] { open_idx(path); });
  write_gzip(path, idx_bytes({3, 2, 2}, twelve_pixels() + "!"));
  const auto stream = open_idx(path);
  expect_data_error(path, "trailing bytes after the last image (at byte 28)", [&] { read_all(*stream); });
}

TEST(IdxReader, ChecksTheGzipChecksumWithTheLastImage) {
  const TempDir folder;
  const std::string path = folder / "x.gz";
  write_gzip(path, idx_bytes({3, 2, 2}, twelve_pixels()));
  std::string bytes = read_text(path);
  bytes[bytes.size() - 6] ^= 1;
  write_text(path, bytes);
  expect_data_error(path, "corrupt gzip stream", [&] { read_all(*open_idx(path), 3); });
}

TEST(IdxReader, RefusesMissingEmptyAndForeignFiles) {
  const TempDir folder;
  const std::string path = folder / "x";
  expect_data_error(path, "no such file or folder", [&] { open_idx(path); });
  write_text(path, "");
  expect_data_error(path, "is empty", [&] { open_idx(path); });
  write_gzip(path, "");
  expect_data_error(path, "is empty", [&] { open_idx(path); });
  write_text(path, "P5 2 2 255");
  expect_data_error(path, "is not an IDX file", [&] { open_idx(path); });
  write_text(path, std::string("\0\0", 2));
  expect_data_error(path, "is not an IDX file", [&] { open_idx(path); });
}

TEST(IdxReader, RefusesOtherTypesAndShapes) {
  const TempDir folder;
  const std::string path = folder / "x";
  write_text(path, idx_bytes({3, 2, 2}, twelve_pixels(), 0x0D));
  expect_data_error(path, "expected IDX of uint8, got float32", [&] { open_idx(path); });
  write_text(path, idx_bytes({12}, twelve_pixels()));
  expect_data_error(path, "expected images", [&] { open_idx(path); });
  write_text(path, idx_bytes({1, 2, 2, 3, 1}, twelve_pixels()));
  expect_data_error(path, "got U8 [1, 2, 2, 3, 1]", [&] { open_idx(path); });
  write_text(path, idx_bytes({0, 2, 2}, ""));
  expect_data_error(path, "holds no images", [&] { open_idx(path); });
  write_text(path, idx_bytes({3, 0, 2}, ""));
  expect_data_error(path, "impossible shape [3, 0, 2]", [&] { open_idx(path); });
}

TEST(IdxReader, BelievesNoHeaderThatPromisesMoreThanAFileCanHold) {
  const TempDir folder;
  const std::string path = folder / "x";
  write_gzip(path, idx_bytes({0xFFFFFFFF, 0x7FFFFFFF, 1}, "abc"));
  expect_data_error(path, "truncated", [&] { open_idx(path); });
  write_text(path, idx_bytes({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "abc"));
  expect_data_error(path, "impossible shape", [&] { open_idx(path); });
}

TEST(IdxReader, AsksForRoomForWholeImages) {
  const TempDir folder;
  write_text(folder / "x", idx_bytes({3, 2, 2}, twelve_pixels()));
  const auto stream = open_idx(folder / "x");
  std::vector<float> room(6);
  expect_error<InvalidArgument>({"[ImageStream::read] expected room for a multiple of 4 values, got 6"}, [&] { stream->read(room); });
  expect_error<InvalidArgument>({"[ImageStream::read]", "got 0"}, [&] { stream->read({}); });
}

}  // namespace
}  // namespace headstart
