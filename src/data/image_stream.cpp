#include "headstart/data/image_stream.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "headstart/data/byte_source.h"
#include "headstart/data/idx.h"
#include "headstart/data/image_folder.h"
#include "headstart/data/npy.h"
#include "headstart/data/npz.h"
#include "headstart/error.h"

namespace headstart {

namespace {

std::unique_ptr<ImageStream> open_fashion_mnist(std::string_view prefix) {
  const char* const given = std::getenv("HEADSTART_FASHION_MNIST");
  const std::filesystem::path folder = given != nullptr && *given != '\0' ? given : "/usr/share/datasets/fashion-mnist";
  const std::string name = fmt::format("{}-images-idx3-ubyte", prefix);
  for (const std::string& candidate : {name + ".gz", name}) {
    const auto path = folder / candidate;
    if (std::error_code ignored; std::filesystem::exists(path, ignored)) return open_idx(path.string());
  }
  throw DataError((folder / (name + ".gz")).string(),
                  "no such file; install the Debian package dataset-fashion-mnist, or set HEADSTART_FASHION_MNIST to a folder that has it");
}

std::unique_ptr<ImageStream> open_file(const std::string& path) {
  // zlib inflates as it goes, so the bytes seen here are those of the format inside.
  auto source = open_file_source(path);
  std::array<char, 6> bytes{};
  const std::size_t got = source->read(std::as_writable_bytes(std::span(bytes)));
  if (got == 0) throw DataError(path, "is empty");
  source->rewind();
  const std::string_view start(bytes.data(), got);

  if (start == "\x93NUMPY") return open_npy(std::move(source));
  const bool is_plain = source->size().has_value();
  if (is_plain && (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06"))) return open_npz(path);
  const bool has_idx_type = got >= 4 && bytes[2] >= 0x08 && bytes[2] <= 0x0E;
  if (has_idx_type && bytes[0] == 0 && bytes[1] == 0) return open_idx(std::move(source), path);
  throw DataError(path,
                  "is none of the formats understood: a folder of PNG files, IDX (also .gz), .npy, .npz, or the names fashion-mnist and "
                  "fashion-mnist-test");
}

}  // namespace

std::unique_ptr<ImageStream> open_images(const std::string& data) {
  if (data == "fashion-mnist") return open_fashion_mnist("train");
  if (data == "fashion-mnist-test") return open_fashion_mnist("t10k");
  std::error_code ignored;
  if (std::filesystem::is_directory(data, ignored)) return open_image_folder(data);
  return open_file(data);
}

}  // namespace headstart
