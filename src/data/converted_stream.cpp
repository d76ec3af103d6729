#include "converted_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "headstart/data/pixels.h"

namespace headstart {

namespace {

class ConvertedStream final : public ImageStream {
 public:
  ConvertedStream(std::unique_ptr<ImageStream> stream, std::int64_t channels) : stream_(std::move(stream)), shape_(stream_->shape()) {
    stored_.resize(static_cast<std::size_t>(shape_.dim()));
    shape_.channels = channels;
  }

  const ImageShape& shape() const override { return shape_; }
  std::int64_t count() const override { return stream_->count(); }
  bool is_uint8() const override { return true; }
  const std::vector<std::int64_t>& labels() const override { return stream_->labels(); }
  void rewind() override { stream_->rewind(); }

  std::int64_t read(std::span<float> out) override {
    require_room(out);
    const auto dim = static_cast<std::size_t>(shape_.dim());
    std::int64_t done = 0;
    for (; !out.empty() && stream_->read(stored_) == 1; ++done, out = out.subspan(dim)) convert(out.first(dim));
    return done;
  }

 private:
  void convert(std::span<float> out) const {
    if (shape_.channels == 3) {
      for (std::size_t c = 0; c < 3; ++c) std::ranges::copy(stored_, out.begin() + static_cast<std::ptrdiff_t>(c * stored_.size()));
      return;
    }
    // Through the pixels, which data units give back exactly, so that an array and the same pictures in a folder agree.
    const std::vector<std::uint8_t> rgb = to_uint8(std::span<const float>(stored_));
    const std::size_t area = out.size();
    for (std::size_t i = 0; i < area; ++i) out[i] = to_data_units(grey_of(rgb[i], rgb[area + i], rgb[2 * area + i]));
  }

  std::unique_ptr<ImageStream> stream_;
  ImageShape shape_;
  std::vector<float> stored_;  // one image
};

}  // namespace

std::unique_ptr<ImageStream> converted(std::unique_ptr<ImageStream> stream, PixelsAs as) {
  const std::int64_t channels = channels_as(as, stream->shape().channels);
  if (channels == stream->shape().channels) return stream;
  return std::make_unique<ConvertedStream>(std::move(stream), channels);
}

}  // namespace headstart
