#pragma once
// What the tests of this room share: files made by hand, and errors whose message is read.

#include <gtest/gtest.h>
#include <zip.h>
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../support/temp_dir.h"
#include "headstart/data/image_stream.h"
#include "headstart/error.h"

namespace headstart {

inline void write_text(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_gzip(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

/// A zip with these members, in this order.
inline void write_zip(const std::string& path, const std::vector<std::pair<std::string, std::string>>& members,
                      zip_int32_t method = ZIP_CM_DEFLATE) {
  zip_t* const archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  for (const auto& [name, bytes] : members) {
    zip_source_t* const source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const auto index = static_cast<zip_uint64_t>(zip_file_add(archive, name.c_str(), source, 0));
    zip_set_file_compression(archive, index, method, 0);
  }
  ASSERT_EQ(zip_close(archive), 0);
}

/// Names of the files in a folder: what a failed write left behind.
inline std::vector<std::string> list(const TempDir& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) names.push_back(entry.path().filename().string());
  return names;
}

/// Runs `act`, which must throw an Error whose one-line message has each of `parts`.
template <typename Error, typename Act>
void expect_error(const std::vector<std::string>& parts, const Act& act, std::source_location where = std::source_location::current()) {
  const testing::ScopedTrace trace(where.file_name(), static_cast<int>(where.line()), "expected an error here");
  try {
    act();
  } catch (const Error& error) {
    const std::string message = error.what();
    for (const std::string& part : parts) EXPECT_PRED_FORMAT2(testing::IsSubstring, part, message);
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return;
  }
  ADD_FAILURE() << "nothing was thrown";
}

/// A DataError that names `path`.
template <typename Act>
void expect_data_error(const std::string& path, const std::string& part, const Act& act,
                       std::source_location where = std::source_location::current()) {
  expect_error<DataError>({path, part}, act, where);
}

/// Every image of the stream, read `images` at a time.
inline std::vector<float> read_all(ImageStream& stream, std::int64_t images = 2) {
  std::vector<float> all;
  std::vector<float> block(static_cast<std::size_t>(images * stream.shape().dim()));
  while (const std::int64_t got = stream.read(block)) {
    all.insert(all.end(), block.begin(), block.begin() + got * stream.shape().dim());
  }
  return all;
}

/// The bytes of values, as a file has them.
template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// An npy file of version 1 with this dictionary and these bytes.
inline std::string npy_bytes(const std::string& dict, const std::string& data) {
  const std::string length{static_cast<char>(dict.size() & 0xFF), static_cast<char>(dict.size() >> 8)};
  return std::string("\x93NUMPY\x01\x00", 8) + length + dict + data;
}

/// An IDX file of uint8 with these sizes.
inline std::string idx_bytes(const std::vector<std::uint32_t>& sizes, const std::string& data, char type = 8) {
  std::string bytes{'\0', '\0', type, static_cast<char>(sizes.size())};
  for (const std::uint32_t size : sizes) {
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(size >> shift & 0xFF);
  }
  return bytes + data;
}

}  // namespace headstart
