#pragma once
// The shipped configuration of SongUNet as one would write it with libtorch's own layers: float32, NCHW, group_norm, the batch in one
// piece. What the benchmarks compare the project's network with.

#include <torch/torch.h>

#include <cmath>
#include <numbers>

namespace headstart {

class PlainBlockImpl : public torch::nn::Module {
 public:
  enum class Size { same, half, twice };

  PlainBlockImpl(std::int64_t in, std::int64_t out, std::int64_t embedding, Size size = Size::same, bool attention = false)
      : size_(size), attention_(attention) {
    using namespace torch::nn;
    norm0_ = register_module("norm0", norm(in));
    conv0_ = register_module("conv0", conv(in, out, 3));
    affine_ = register_module("affine", Linear(embedding, 2 * out));
    norm1_ = register_module("norm1", norm(out));
    conv1_ = register_module("conv1", conv(out, out, 3));
    if (in != out || size != Size::same) skip_ = register_module("skip", conv(in, out, 1));
    if (!attention) return;
    norm2_ = register_module("norm2", norm(out));
    qkv_ = register_module("qkv", conv(out, 3 * out, 1));
    proj_ = register_module("proj", conv(out, out, 1));
  }

  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& embedding) {
    torch::Tensor h = conv0_(resize(torch::silu(norm0_(x))));
    const auto parameters = affine_(embedding).unsqueeze(-1).unsqueeze(-1).chunk(2, 1);
    h = conv1_(torch::silu(norm1_(h) * (1 + parameters[0]) + parameters[1]));
    h = (h + (skip_ ? skip_(resize(x)) : x)) * std::sqrt(0.5);
    return attention_ ? (h + attend(h)) * std::sqrt(0.5) : h;
  }

 private:
  /// At most 32 groups of at least 4 channels, as the network that it stands for.
  static torch::nn::GroupNorm norm(std::int64_t channels) {
    std::int64_t groups = std::min<std::int64_t>(32, channels / 4);
    while (channels % groups != 0) --groups;
    return torch::nn::GroupNorm(torch::nn::GroupNormOptions(groups, channels));
  }
  static torch::nn::Conv2d conv(std::int64_t in, std::int64_t out, std::int64_t kernel) {
    return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel).padding(kernel / 2));
  }
  torch::Tensor resize(const torch::Tensor& x) const {
    if (size_ == Size::half) return torch::avg_pool2d(x, 2);
    return size_ == Size::twice ? torch::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}) : x;
  }
  torch::Tensor attend(const torch::Tensor& x) {
    const auto parts = qkv_(norm2_(x)).reshape({x.size(0), x.size(1), 3, -1}).unbind(2);
    const torch::Tensor weights =
        torch::softmax(torch::bmm(parts[0].transpose(1, 2), parts[1]) / std::sqrt(static_cast<double>(x.size(1))), 2);
    return proj_(torch::bmm(parts[2], weights.transpose(1, 2)).view(x.sizes()));
  }

  Size size_;
  bool attention_;
  torch::nn::GroupNorm norm0_{nullptr}, norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Conv2d conv0_{nullptr}, conv1_{nullptr}, skip_{nullptr}, qkv_{nullptr}, proj_{nullptr};
  torch::nn::Linear affine_{nullptr};
};
TORCH_MODULE(PlainBlock);

/// 28x28 grey images in 2x2 patches; 48 channels at 14x14, 96 at 7x7.
class PlainUNetImpl : public torch::nn::Module {
 public:
  PlainUNetImpl() {
    using Size = PlainBlockImpl::Size;
    constexpr std::int64_t kEmbedding = 4 * kWidth;
    layer0_ = register_module("layer0", torch::nn::Linear(kWidth, kEmbedding));
    layer1_ = register_module("layer1", torch::nn::Linear(kEmbedding, kEmbedding));
    const auto conv = [](std::int64_t in, std::int64_t out) { return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1)); };
    input_ = register_module("input", conv(4, kWidth));
    const auto block = [&](std::int64_t in, std::int64_t out, Size size = Size::same, bool attention = false) {
      return register_module("block" + std::to_string(count_++), PlainBlock(in, out, kEmbedding, size, attention));
    };
    encoder_ = {block(kWidth, kWidth), block(kWidth, kWidth, Size::half), block(kWidth, 2 * kWidth)};
    middle_ = {block(2 * kWidth, 2 * kWidth, Size::same, true), block(2 * kWidth, 2 * kWidth)};
    low_ = {block(4 * kWidth, 2 * kWidth), block(3 * kWidth, 2 * kWidth)};
    up_ = block(2 * kWidth, 2 * kWidth, Size::twice);
    high_ = {block(3 * kWidth, kWidth), block(2 * kWidth, kWidth)};
    norm_ = register_module("norm", torch::nn::GroupNorm(torch::nn::GroupNormOptions(kWidth / 4, kWidth)));
    output_ = register_module("output", conv(kWidth, 4));
  }

  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& c_noise) {
    const torch::Tensor angles = torch::outer(c_noise, torch::exp(torch::linspace(0.0, std::log(30.0), kWidth / 2)));
    const torch::Tensor embedding = torch::silu(layer1_(torch::silu(layer0_(torch::cat({angles.sin(), angles.cos()}, 1)))));
    torch::Tensor h = input_(torch::pixel_unshuffle(x, 2));
    std::vector<torch::Tensor> skips{h};
    for (auto& block : encoder_) skips.push_back(h = block(h, embedding));
    for (auto& block : middle_) h = block(h, embedding);
    const auto with_skips = [&](std::vector<PlainBlock>& blocks) {
      for (auto& block : blocks) {
        h = block(torch::cat({h, skips.back()}, 1), embedding);
        skips.pop_back();
      }
    };
    with_skips(low_);
    h = up_(h, embedding);
    with_skips(high_);
    return torch::pixel_shuffle(output_(torch::silu(norm_(h))), 2);
  }

 private:
  static constexpr std::int64_t kWidth = 48;
  int count_ = 0;
  torch::nn::Linear layer0_{nullptr}, layer1_{nullptr};
  torch::nn::Conv2d input_{nullptr}, output_{nullptr};
  torch::nn::GroupNorm norm_{nullptr};
  std::vector<PlainBlock> encoder_, middle_, low_, high_;
  PlainBlock up_{nullptr};
};
TORCH_MODULE(PlainUNet);

}  // namespace headstart
