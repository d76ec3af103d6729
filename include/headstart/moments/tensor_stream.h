#pragma once
// Points that are already in memory, for everything that reads a stream.

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "headstart/data/image_stream.h"

namespace headstart {

/// A stream over the rows of a tensor, so that fits take data from anywhere: `TensorStream stream(x); fit_gaussian(stream)`.
class TensorStream : public ImageStream {
 public:
  /// @param points  [N, D], N and D > 0, on the CPU. float32 are not copied where contiguous; a strided view is copied as it is read
  /// @param shape   of an image, if it is one: D values
  /// @throws InvalidArgument on another shape, dtype or number of labels
  explicit TensorStream(torch::Tensor points, std::vector<std::int64_t> labels = {}, const ImageShape& shape = {});

  const ImageShape& shape() const override { return shape_; }
  std::int64_t count() const override { return points_.size(0); }
  bool is_uint8() const override { return false; }
  const std::vector<std::int64_t>& labels() const override { return labels_; }
  std::int64_t read(std::span<float> out) override;
  void rewind() override { next_ = 0; }

 private:
  torch::Tensor points_;
  std::vector<std::int64_t> labels_;
  ImageShape shape_;
  std::int64_t next_ = 0;
};

}  // namespace headstart
