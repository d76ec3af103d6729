#include "headstart/moments/tensor_stream.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "headstart/error.h"

namespace headstart {

using torch::Tensor;

TensorStream::TensorStream(Tensor points, std::vector<std::int64_t> labels, const ImageShape& shape)
    : points_(std::move(points)), labels_(std::move(labels)), shape_(shape) {
  if (!points_.defined() || points_.dim() != 2 || points_.numel() == 0 || !points_.is_floating_point() || !points_.is_cpu())
    throw InvalidArgument(fmt::format(
        "[TensorStream] expected floating-point points [N, D] on the CPU, got {}",
        points_.defined() ? fmt::format("{} [{}]", c10::toString(points_.scalar_type()), fmt::join(points_.sizes(), ", ")) : "undefined"));
  if (shape_.dim() == 0) shape_ = {1, 1, points_.size(1)};
  if (shape_.dim() != points_.size(1))
    throw InvalidArgument(fmt::format("[TensorStream] expected images of {} values, got points of {}", shape_.dim(), points_.size(1)));
  if (!labels_.empty() && static_cast<std::int64_t>(labels_.size()) != count())
    throw InvalidArgument(fmt::format("[TensorStream] expected {} labels or none, got {}", count(), labels_.size()));
  points_ = points_.detach();
}

std::int64_t TensorStream::read(std::span<float> out) {
  require_room(out);
  const std::int64_t dim = shape_.dim(), got = std::min(static_cast<std::int64_t>(out.size()) / dim, count() - next_);
  if (got > 0) torch::from_blob(out.data(), {got, dim}, torch::kFloat32).copy_(points_.narrow(0, next_, got));
  next_ += got;
  return got;
}

}  // namespace headstart
