#include "unet_block.h"

#include <algorithm>
#include <cmath>

#include "headstart/nets/norm_silu.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr double kNormEps = 1e-6;
constexpr double kNearZero = 1e-5;  // start of the last convolution of a residual: it adds next to nothing at first
const double kSkipScale = std::sqrt(0.5);

std::int64_t groups_of(std::int64_t channels) {
  std::int64_t groups = std::clamp<std::int64_t>(channels / 4, 1, 32);
  while (channels % groups != 0) --groups;  // only where EDM's rule has no answer
  return groups;
}

}  // namespace

NormImpl::NormImpl(std::int64_t channels)
    : weight(register_parameter("weight", torch::ones({channels}))), bias(register_parameter("bias", torch::zeros({channels}))) {}

Tensor NormImpl::forward(const Tensor& x) {
  return torch::group_norm(x.to(weight.scalar_type()), groups_of(weight.size(0)), weight, bias, kNormEps).to(x.scalar_type());
}

Tensor NormImpl::silu(const Tensor& x, const Tensor& scale, const Tensor& shift) {
  return norm_silu(x, {groups_of(weight.size(0)), weight, bias, kNormEps}, scale, shift);
}

torch::nn::Linear linear(std::int64_t in, std::int64_t out, bool bias) {
  const torch::NoGradGuard no_grad;
  torch::nn::Linear layer(torch::nn::LinearOptions(in, out).bias(bias));
  torch::nn::init::xavier_uniform_(layer->weight);
  if (bias) layer->bias.zero_();
  return layer;
}

UNetBlockImpl::UNetBlockImpl(const UNetBlockOptions& options) : options_(options) {
  const auto& o = options_;
  norm0 = register_module("norm0", Norm(o.in));
  conv0 = register_module("conv0", Conv(ConvOptions{.in = o.in, .out = o.out, .mode = o.mode, .filter = o.filter}));
  affine = register_module("affine", linear(o.embedding, o.adaptive_scale ? 2 * o.out : o.out));
  norm1 = register_module("norm1", Norm(o.out));
  conv1 = register_module("conv1", Conv(ConvOptions{.in = o.out, .out = o.out, .init_scale = kNearZero}));
  if (o.out != o.in || o.mode != Resample::none)
    skip = register_module("skip", Conv(ConvOptions{.in = o.in, .out = o.out, .kernel = 1, .mode = o.mode, .filter = o.filter}));
  if (o.attention) {
    norm2 = register_module("norm2", Norm(o.out));
    qkv = register_module("qkv", Conv(ConvOptions{.in = o.out, .out = 3 * o.out, .kernel = 1, .init_scale = std::sqrt(0.2)}));
    proj = register_module("proj", Conv(ConvOptions{.in = o.out, .out = o.out, .kernel = 1, .init_scale = kNearZero}));
  }
}

Tensor UNetBlockImpl::forward(const Tensor& x, const Tensor& embedding) {
  Tensor h = conv0(norm0->silu(x));
  const Tensor parameters = affine(embedding);
  if (options_.adaptive_scale) {
    const auto scale_shift = parameters.chunk(2, 1);
    h = norm1->silu(h, scale_shift[0], scale_shift[1]);
  } else {
    h = norm1->silu(h + parameters.to(h.scalar_type()).unsqueeze(-1).unsqueeze(-1));
  }
  if (options_.dropout > 0 && is_training()) h = torch::dropout(h, options_.dropout, true);
  h = (conv1(h) + (skip ? skip(x) : x)) * kSkipScale;
  return options_.attention ? (h + attend(h)) * kSkipScale : h;
}

Tensor UNetBlockImpl::attend(const Tensor& x) {
  const std::int64_t batch = x.size(0), channels = x.size(1);
  // The channels of q, k and v are interleaved, as EDM's weights have them.
  const auto parts = qkv(norm2(x)).to(torch::kFloat32).reshape({batch, channels, 3, -1}).unbind(2);
  const Tensor weights = torch::softmax(torch::bmm(parts[0].transpose(1, 2), parts[1]) / std::sqrt(static_cast<double>(channels)), 2);
  const Tensor mixed = torch::bmm(parts[2], weights.transpose(1, 2)).view(x.sizes());
  return proj(mixed.to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace headstart
