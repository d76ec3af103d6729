#pragma once
// A stream of points in memory, for tests of what reads streams.

#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "headstart/data/image_stream.h"

namespace headstart {

/// Counts how often it was started again, and may lack images in later passes.
class PointStream : public ImageStream {
 public:
  explicit PointStream(const torch::Tensor& points, bool is_uint8 = false, std::vector<std::int64_t> labels = {})
      : points_(points.to(torch::kFloat32).contiguous()), shape_{1, 1, points.size(1)}, is_uint8_(is_uint8), labels_(std::move(labels)) {}

  const ImageShape& shape() const override { return shape_; }
  std::int64_t count() const override { return points_.size(0); }
  bool is_uint8() const override { return is_uint8_; }
  const std::vector<std::int64_t>& labels() const override { return labels_; }
  std::int64_t read(std::span<float> out) override {
    const std::int64_t dim = shape_.dim(), got = std::min(static_cast<std::int64_t>(out.size()) / dim, std::min(end, count()) - next_);
    std::copy_n(points_.data_ptr<float>() + next_ * dim, got * dim, out.data());
    next_ += got;
    return got;
  }
  void rewind() override {
    next_ = 0;
    if (++rewinds > 1) end -= shrinks;
  }

  int rewinds = 0;
  std::int64_t shrinks = 0;  // images that each further pass lacks
  std::int64_t end = std::numeric_limits<std::int64_t>::max() / 2;

 private:
  torch::Tensor points_;
  ImageShape shape_;
  bool is_uint8_;
  std::int64_t next_ = 0;
  std::vector<std::int64_t> labels_;
};

}  // namespace headstart
