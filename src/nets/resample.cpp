#include "headstart/nets/resample.h"

#include <cmath>

#include "headstart/error.h"

namespace headstart {
namespace {

using torch::Tensor;

bool is_box(const std::vector<double>& filter) { return filter.size() == 2 && filter[0] == filter[1]; }

/// [1, 1, F, F], sum 1.
Tensor outer_filter(const std::vector<double>& filter) {
  const Tensor f = torch::tensor(filter, torch::kFloat32);
  return (torch::outer(f, f) / f.sum().square()).view({1, 1, f.size(0), f.size(0)});
}

/// Each channel convolved with the filter, at every other pixel.
Tensor filter_down(const Tensor& x, const std::vector<double>& filter, std::int64_t padding) {
  const Tensor f = outer_filter(filter).to(x.options()).repeat({x.size(1), 1, 1, 1});
  return torch::conv2d(x, f, {}, 2, padding, 1, x.size(1));
}

}  // namespace

Tensor resample(const Tensor& x, Resample mode, const std::vector<double>& filter) {
  const std::int64_t padding = (static_cast<std::int64_t>(filter.size()) - 1) / 2;
  switch (mode) {
    case Resample::none:
      return x;
    case Resample::down:
      return is_box(filter) ? torch::avg_pool2d(x, 2) : filter_down(x, filter, padding);
    case Resample::up:
      break;
  }
  if (is_box(filter)) return torch::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
  // In float32: libtorch 1.13 computes transposed bfloat16 convolutions of groups to the wrong size.
  const Tensor wide = x.to(torch::promote_types(x.scalar_type(), torch::kFloat32));
  const Tensor f = (4 * outer_filter(filter)).to(wide.options()).repeat({x.size(1), 1, 1, 1});  // a quarter of the pixels carry everything
  return torch::conv_transpose2d(wide, f, {}, 2, padding, 0, x.size(1)).to(x.scalar_type());
}

ConvImpl::ConvImpl(ConvOptions options) : options_(std::move(options)) {
  const auto& o = options_;
  if (o.fused && o.mode != Resample::down) throw InvalidArgument("[Conv] expected fused only where the resolution is halved");
  if (o.kernel > 0) {
    const double area = static_cast<double>(o.kernel * o.kernel);
    const double bound = o.init_scale * std::sqrt(6.0 / (area * static_cast<double>(o.in + o.out)));  // Xavier (Glorot) uniform
    weight = register_parameter("weight", (torch::rand({o.out, o.in, o.kernel, o.kernel}) * 2 - 1) * bound);
    bias = register_parameter("bias", torch::zeros({o.out}));
  }
}

Tensor ConvImpl::forward(const Tensor& x) {
  const auto& o = options_;
  if (o.kernel == 0) return resample(x, o.mode, o.filter);
  const Tensor w = weight.to(x.scalar_type()), b = bias.to(x.scalar_type());
  if (!o.fused) return torch::conv2d(resample(x, o.mode, o.filter), w, b, 1, o.kernel / 2);
  const std::int64_t padding = (static_cast<std::int64_t>(o.filter.size()) - 1) / 2;
  return filter_down(torch::conv2d(x, w, b, 1, o.kernel / 2 + padding), o.filter, 0);
}

}  // namespace headstart
