#include "headstart/data/image_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "converted_stream.h"
#include "headstart/data/byte_source.h"
#include "headstart/data/cifar10.h"
#include "headstart/data/idx.h"
#include "headstart/data/image_folder.h"
#include "headstart/data/npy.h"
#include "headstart/data/npz.h"
#include "headstart/error.h"
#include "zip_archive.h"

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

// An npz is a zip too; which it is, its members tell.
std::unique_ptr<ImageStream> open_zip(const std::string& path, PixelsAs as) {
  const std::vector<std::string> names = ZipArchive(path).names();
  if (std::ranges::any_of(names, [](const std::string& name) { return name.ends_with(".npy"); })) return open_npz(path);
  return open_image_zip(path, as);
}

std::unique_ptr<ImageStream> open_file(const std::string& path, PixelsAs as) {
  // zlib inflates as it goes, so the bytes seen here are those of the format inside.
  auto source = open_file_source(path);
  std::array<char, 64> bytes{};
  const std::size_t got = source->read(std::as_writable_bytes(std::span(bytes)));
  if (got == 0) throw DataError(path, "is empty");
  source->rewind();
  const std::string_view start(bytes.data(), got);

  if (start.starts_with("\x93NUMPY")) return open_npy(std::move(source));
  const auto plain_size = source->size();
  if (plain_size && (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06"))) return open_zip(path, as);
  // A CIFAR-10 batch has no magic number, and may happen to start like IDX.
  const auto start_bytes = std::as_bytes(std::span(start));
  if (plain_size && looks_like_cifar10(start_bytes, *plain_size) && !idx_header_fits(start_bytes, *plain_size)) return open_cifar10(path);
  const bool has_idx_type = got >= 4 && bytes[2] >= 0x08 && bytes[2] <= 0x0E;
  if (has_idx_type && bytes[0] == 0 && bytes[1] == 0) return open_idx(std::move(source), path);
  throw DataError(path,
                  "is none of the formats understood: a folder or zip of PNG or JPEG files, IDX (also .gz), .npy, .npz, CIFAR-10 batches "
                  "(records of 3073 bytes), or the names fashion-mnist and fashion-mnist-test");
}

std::unique_ptr<ImageStream> open_stored(const std::string& data, PixelsAs as) {
  if (data == "fashion-mnist") return open_fashion_mnist("train");
  if (data == "fashion-mnist-test") return open_fashion_mnist("t10k");
  std::error_code ignored;
  if (!std::filesystem::is_directory(data, ignored)) return open_file(data, as);
  return is_cifar10_folder(data) ? open_cifar10(data) : open_image_folder(data, as);
}

}  // namespace

void ImageStream::require_room(std::span<const float> out) const {
  const std::int64_t dim = shape().dim();
  if (!out.empty() && out.size() % static_cast<std::size_t>(dim) == 0) return;
  throw InvalidArgument(fmt::format("[ImageStream::read] expected room for a multiple of {} values, got {}", dim, out.size()));
}

std::unique_ptr<ImageStream> open_images(const std::string& data, const DataOptions& options) {
  auto stream = open_stored(data, options.as);
  if (options.as == PixelsAs::stored) return stream;
  if (!stream->is_uint8()) throw InvalidArgument(fmt::format("--as: expected 8-bit pictures, but {} holds floats", data));
  return converted(std::move(stream), options.as);
}

}  // namespace headstart
