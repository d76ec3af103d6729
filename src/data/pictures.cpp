#include "pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "headstart/data/jpeg.h"
#include "headstart/data/pixels.h"
#include "headstart/data/png.h"
#include "headstart/error.h"

namespace headstart {

namespace {

bool is_jpeg(const std::string& name, std::span<const std::byte> bytes) {
  if (bytes.empty()) throw DataError(name, "is empty");
  if (bytes[0] == std::byte{0xFF}) return true;
  if (bytes[0] == std::byte{0x89}) return false;
  throw DataError(name, "is not a PNG or JPEG file");
}

ImageBytes decode(const std::string& name, std::span<const std::byte> bytes, PixelsAs as) {
  return is_jpeg(name, bytes) ? decode_jpeg(name, bytes, as) : decode_png(name, bytes, as);
}

ImageShape shape_of(const std::string& name, std::span<const std::byte> start, PixelsAs as) {
  return is_jpeg(name, start) ? jpeg_shape(name, start, as) : png_shape(name, start, as);
}

class PictureStream final : public ImageStream {
 public:
  PictureStream(Pictures pictures, PixelsAs as) : pictures_(std::move(pictures)), as_(as) {
    if (pictures_.dataset_json) labels_ = read_dataset_labels(*pictures_.dataset_json, pictures_.names);
    pictures_.dataset_json.reset();
    for (std::size_t i = 0; i < pictures_.names.size(); ++i) {
      const auto file = pictures_.open(i);
      const ImageShape shape = read_shape(*file);
      if (i == 0) {
        shape_ = shape;
        first_ = file->name();
      }
      require_shape(file->name(), shape);
    }
  }

  const ImageShape& shape() const override { return shape_; }
  std::int64_t count() const override { return static_cast<std::int64_t>(pictures_.names.size()); }
  bool is_uint8() const override { return true; }
  const std::vector<std::int64_t>& labels() const override { return labels_; }
  void rewind() override { next_ = 0; }

  std::int64_t read(std::span<float> out) override {
    require_room(out);
    const auto dim = static_cast<std::size_t>(shape_.dim());
    std::int64_t done = 0;
    for (; !out.empty() && next_ < pictures_.names.size(); ++done, ++next_, out = out.subspan(dim)) {
      const auto file = pictures_.open(next_);
      const ImageBytes image = decode(file->name(), read_rest(*file), as_);
      require_shape(file->name(), image.shape);  // the file may have changed since it was opened
      to_data_units(image.chw, out.first(dim));
    }
    return done;
  }

 private:
  ImageShape read_shape(ByteSource& file) const {
    constexpr std::size_t kStart = 4096;
    std::vector<std::byte> start(kStart);
    start.resize(file.read(start));
    try {
      return shape_of(file.name(), start, as_);
    } catch (const DataError&) {
      if (start.size() < kStart) throw;  // that was all
    }
    // A JPEG's size stands behind its profile and preview, however long they are.
    file.rewind();
    return shape_of(file.name(), read_rest(file), as_);
  }

  void require_shape(const std::string& name, const ImageShape& shape) const {
    if (shape == shape_) return;
    const char* const hint = shape.channels == shape_.channels ? "" : "; grey and RGB are mixed only on request (--as grey or --as rgb)";
    throw DataError(name, fmt::format("expected shape {} as of {}, got {}{}", to_string(shape_), first_, to_string(shape), hint));
  }

  Pictures pictures_;
  PixelsAs as_;
  ImageShape shape_;
  std::string first_;
  std::vector<std::int64_t> labels_;
  std::size_t next_ = 0;
};

}  // namespace

bool is_picture_name(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower.ends_with(".png") || lower.ends_with(".jpg") || lower.ends_with(".jpeg");
}

std::unique_ptr<ImageStream> stream_pictures(Pictures pictures, PixelsAs as) {
  return std::make_unique<PictureStream>(std::move(pictures), as);
}

}  // namespace headstart
