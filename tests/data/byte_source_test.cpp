#include "headstart/data/byte_source.h"

#include <cstdlib>
#include <random>

#include "data_test.h"

namespace headstart {
namespace {

std::string text_of(const std::vector<std::byte>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Bytes that do not compress, so that cutting the file cuts the data.
std::string noise(std::size_t size) {
  std::mt19937 random(1);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(ByteSource, ReadsPlainAndGzipAlikeAndRewinds) {
  const TempDir folder;
  const std::string text = noise(300000);
  write_text(folder / "plain", text);
  write_gzip(folder / "packed", text);
  const auto plain = open_file_source(folder / "plain");
  const auto packed = open_file_source(folder / "packed");
  EXPECT_EQ(plain->size(), std::int64_t{300000});
  EXPECT_EQ(packed->size(), std::nullopt);
  EXPECT_GE(packed->max_size(), 300000);
  for (const auto* source : {&plain, &packed}) {
    EXPECT_EQ(text_of(read_rest(**source)), text);
    (*source)->rewind();
    EXPECT_EQ(text_of(read_rest(**source)), text);
  }
}

TEST(ByteSource, ReadsMemory) {
  const std::string text = "abcdef";
  const auto source = open_memory_source("here", std::as_bytes(std::span(text)));
  std::vector<std::byte> four(4);
  EXPECT_EQ(source->read(four), 4U);
  EXPECT_EQ(text_of(read_rest(*source)), "ef");
  EXPECT_EQ(source->read(four), 0U);
  source->rewind();
  EXPECT_EQ(text_of(read_rest(*source)), text);
  EXPECT_EQ(source->name(), "here");
}

TEST(ByteSource, RefusesAMissingFileAFolderADeviceAndAnEmptyFile) {
  const TempDir folder;
  write_text(folder / "empty", "");
  expect_data_error(folder / "none", "no such file or folder", [&] { open_file_source(folder / "none"); });
  expect_data_error(folder.path().string(), "is a folder", [&] { open_file_source(folder.path().string()); });
  expect_data_error("/dev/null", "is not a regular file", [&] { open_file_source("/dev/null"); });
  expect_data_error(folder / "empty", "is empty", [&] { open_file_source(folder / "empty"); });
  expect_data_error(folder / "empty/below", "no such file or folder", [&] { open_file_source(folder / "empty/below"); });
}

TEST(ByteSource, RefusesATruncatedGzipStreamWhereverItIsCut) {
  const TempDir folder;
  write_gzip(folder / "whole", noise(5000));
  const std::string whole = read_text(folder / "whole");
  for (const std::size_t size : {std::size_t{3}, std::size_t{12}, whole.size() / 2, whole.size() - 8, whole.size() - 1}) {
    write_text(folder / "cut", whole.substr(0, size));
    expect_data_error(folder / "cut", "truncated gzip stream", [&] { read_rest(*open_file_source(folder / "cut")); });
  }
}

TEST(ByteSource, RefusesACorruptGzipStream) {
  const TempDir folder;
  write_gzip(folder / "file", noise(5000));
  std::string bytes = read_text(folder / "file");
  bytes[bytes.size() - 6] ^= 1;  // in the checksum
  write_text(folder / "file", bytes);
  expect_data_error(folder / "file", "corrupt gzip stream", [&] { read_rest(*open_file_source(folder / "file")); });
}

TEST(ByteSource, ReadsAFileAsItLiesOnDisk) {
  const TempDir folder;
  write_gzip(folder / "packed", "text");
  EXPECT_EQ(text_of(read_file(folder / "packed")), read_text(folder / "packed"));
  write_text(folder / "empty", "");
  EXPECT_TRUE(read_file(folder / "empty").empty());
  expect_data_error(folder / "none", "no such file or folder", [&] { read_file(folder / "none"); });
}

TEST(ByteSource, BoundsWhatDeflateCanInflateTo) {
  EXPECT_EQ(max_inflated(10), 10320);
  EXPECT_EQ(max_inflated(std::numeric_limits<std::int64_t>::max()), std::numeric_limits<std::int64_t>::max());
}

}  // namespace
}  // namespace headstart
