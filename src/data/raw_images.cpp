#include "headstart/data/raw_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "headstart/data/pixels.h"
#include "headstart/error.h"

namespace headstart {

namespace {

class RawImageStream final : public ImageStream {
 public:
  RawImageStream(std::unique_ptr<ByteSource> source, const RawImages& images, std::vector<std::int64_t> labels)
      : source_(std::move(source)), images_(images), labels_(std::move(labels)) {
    require_source_fits();
    const std::int64_t block = std::clamp<std::int64_t>((1 << 20) / image_bytes_, 1, images_.count);
    buffer_.resize(static_cast<std::size_t>(block * image_bytes_));
    rewind();
  }

  const ImageShape& shape() const override { return images_.shape; }
  std::int64_t count() const override { return images_.count; }
  bool is_uint8() const override { return images_.dtype == DType::U8; }
  const std::vector<std::int64_t>& labels() const override { return labels_; }

  std::int64_t read(std::span<float> out) override {
    require_room(out);
    const std::int64_t dim = images_.shape.dim();
    const std::int64_t wanted = std::min(static_cast<std::int64_t>(out.size()) / dim, images_.count - next_);
    for (std::int64_t done = 0; done < wanted;) {
      const std::int64_t block = std::min(wanted - done, static_cast<std::int64_t>(buffer_.size()) / image_bytes_);
      const auto bytes = std::span(buffer_).first(static_cast<std::size_t>(block * image_bytes_));
      const std::size_t got = source_->read(bytes);
      if (got < bytes.size()) {
        throw DataError(source_->name(), fmt::format("truncated: expected {} images", images_.count),
                        offset() + static_cast<std::int64_t>(got));
      }
      convert(bytes, out.subspan(static_cast<std::size_t>(done * dim), static_cast<std::size_t>(block * dim)));
      done += block;
      next_ += block;
      if (next_ == images_.count) require_end();
    }
    return wanted;
  }

  void rewind() override {
    source_->rewind();
    next_ = 0;
    std::array<std::byte, 4096> skipped{};
    for (std::int64_t left = images_.data_offset; left > 0;) {
      const auto part = std::span(skipped).first(static_cast<std::size_t>(std::min<std::int64_t>(left, skipped.size())));
      if (source_->read(part) < part.size()) throw DataError(source_->name(), "truncated header", images_.data_offset - left);
      left -= static_cast<std::int64_t>(part.size());
    }
  }

 private:
  std::int64_t offset() const { return images_.data_offset + next_ * image_bytes_; }

  // Before anything is allocated by the header's word.
  void require_source_fits() {
    const std::array<std::int64_t, 4> sizes{images_.count, images_.shape.channels, images_.shape.height, images_.shape.width};
    const std::int64_t bytes = byte_count(images_.dtype, sizes);
    if (bytes < 0 || bytes > source_->max_size() - images_.data_offset) {
      throw DataError(source_->name(), fmt::format("truncated: expected {} images of shape {}", images_.count, to_string(images_.shape)),
                      source_->size().value_or(DataError::kNoOffset));
    }
    if (const auto size = source_->size(); size && *size != images_.data_offset + bytes) {
      throw DataError(source_->name(), fmt::format("{} trailing bytes", *size - images_.data_offset - bytes), images_.data_offset + bytes);
    }
    image_bytes_ = bytes / images_.count;
  }

  // A compressed stream says only now whether its checksum is right and nothing follows.
  void require_end() {
    std::byte extra{};
    if (source_->read({&extra, 1}) != 0) throw DataError(source_->name(), "trailing bytes after the last image", offset());
  }

  void convert(std::span<const std::byte> bytes, std::span<float> out) {
    if (images_.dtype == DType::F32) return convert_floats<float>(bytes, out);
    if (images_.dtype == DType::F64) return convert_floats<double>(bytes, out);
    const std::span pixels(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (images_.channels_last && images_.shape.channels > 1) {
      convert_channels_last(pixels, out);
    } else {
      to_data_units(pixels, out);
    }
  }

  void convert_channels_last(std::span<const std::uint8_t> pixels, std::span<float> out) {
    const auto channels = static_cast<std::size_t>(images_.shape.channels);
    const auto area = static_cast<std::size_t>(images_.shape.height * images_.shape.width);
    for (std::size_t first = 0; first < pixels.size(); first += channels * area) {
      for (std::size_t c = 0; c < channels; ++c) {
        for (std::size_t i = 0; i < area; ++i) out[first + c * area + i] = to_data_units(pixels[first + i * channels + c]);
      }
    }
  }

  template <typename T>
  void convert_floats(std::span<const std::byte> bytes, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      T value;
      std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
      out[i] = static_cast<float>(value);
      if (std::isfinite(out[i])) continue;
      const std::int64_t at = offset() + static_cast<std::int64_t>(i * sizeof(T));
      const char* const why = std::isfinite(value) ? "does not fit float32" : "expected finite values";
      throw DataError(source_->name(), fmt::format("{}, got {}", why, value), at);
    }
  }

  std::unique_ptr<ByteSource> source_;
  RawImages images_;
  std::vector<std::int64_t> labels_;
  std::int64_t image_bytes_ = 0;
  std::int64_t next_ = 0;
  std::vector<std::byte> buffer_;
};

bool is_channel_count(std::int64_t size) { return size == 1 || size == 3; }

}  // namespace

RawImages images_of_array(const std::string& name, DType dtype, std::span<const std::int64_t> shape, std::int64_t data_offset) {
  RawImages images;
  images.dtype = dtype;
  images.data_offset = data_offset;
  const bool is_float = dtype == DType::F32 || dtype == DType::F64;
  if (!shape.empty()) images.count = shape[0];
  if (dtype == DType::U8 && shape.size() == 3) {
    images.shape = {.channels = 1, .height = shape[1], .width = shape[2]};
  } else if (dtype == DType::U8 && shape.size() == 4 && is_channel_count(shape[3])) {
    images.shape = {.channels = shape[3], .height = shape[1], .width = shape[2]};
    images.channels_last = true;
  } else if (shape.size() == 4 && (is_float || (dtype == DType::U8 && is_channel_count(shape[1])))) {
    images.shape = {.channels = shape[1], .height = shape[2], .width = shape[3]};
  } else if (is_float && shape.size() == 2) {
    images.shape = {.channels = 1, .height = 1, .width = shape[1]};
  } else {
    throw DataError(name,
                    fmt::format("expected images: U8 [N,H,W], [N,H,W,C] or [N,C,H,W] with C 1 or 3, float [N,D] or [N,C,H,W], got {} {}",
                                to_string(dtype), shape_to_string(shape)));
  }
  if (images.count == 0) throw DataError(name, "holds no images");
  if (byte_count(dtype, shape) <= 0) throw DataError(name, fmt::format("has images of an impossible shape {}", shape_to_string(shape)));
  return images;
}

std::unique_ptr<ImageStream> stream_raw_images(std::unique_ptr<ByteSource> source, const RawImages& images,
                                               std::vector<std::int64_t> labels) {
  return std::make_unique<RawImageStream>(std::move(source), images, std::move(labels));
}

}  // namespace headstart
