#include "headstart/nets/unet.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "headstart/error.h"
#include "headstart/nets/norm_silu.h"

namespace headstart {
namespace {

using torch::Tensor;

torch::nn::Conv2d conv3x3(std::int64_t in, std::int64_t out) { return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1)); }

torch::nn::Conv2d conv1x1(std::int64_t in, std::int64_t out) { return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 1)); }

torch::nn::GroupNorm group_norm(std::int64_t channels, std::int64_t groups) {
  return torch::nn::GroupNorm(torch::nn::GroupNormOptions(std::gcd(groups, channels), channels));
}

/// Norm, scale-shift and SiLU fused; the module only holds the parameters.
Tensor norm_silu_of(const torch::nn::GroupNorm& norm, const Tensor& x, const Tensor& scale = {}, const Tensor& shift = {}) {
  return norm_silu(x, {norm->options.num_groups(), norm->weight, norm->bias}, scale, shift);
}

template <class Layer>
Layer zero_start(Layer layer) {
  torch::NoGradGuard no_grad;
  layer->weight.zero_();
  layer->bias.zero_();
  return layer;
}

/// One step of the U: maps (features, embedding) to features. Skip connections are kept by the network, not here.
struct Stage : torch::nn::Module {
  virtual Tensor forward(const Tensor& x, const Tensor& embedding) = 0;
};

struct ResidualBlock : Stage {
  ResidualBlock(std::int64_t in, std::int64_t out, std::int64_t embedding, std::int64_t groups) {
    norm0 = register_module("norm0", group_norm(in, groups));
    conv0 = register_module("conv0", conv3x3(in, out));
    affine = register_module("affine", zero_start(torch::nn::Linear(embedding, 2 * out)));
    norm1 = register_module("norm1", group_norm(out, groups));
    conv1 = register_module("conv1", zero_start(conv3x3(out, out)));
    if (in != out) skip = register_module("skip", conv1x1(in, out));
  }

  Tensor forward(const Tensor& x, const Tensor& embedding) override {
    Tensor h = conv0(norm_silu_of(norm0, x));
    const auto scale_shift = affine(embedding).chunk(2, 1);
    h = norm_silu_of(norm1, h, scale_shift[0], scale_shift[1]);
    return conv1(h) + (skip ? skip(x) : x);
  }

  torch::nn::GroupNorm norm0{nullptr}, norm1{nullptr};
  torch::nn::Conv2d conv0{nullptr}, conv1{nullptr}, skip{nullptr};
  torch::nn::Linear affine{nullptr};
};

/// Single-head self-attention over all positions, added to its input.
struct Attention : Stage {
  Attention(std::int64_t channels, std::int64_t groups) {
    norm = register_module("norm", group_norm(channels, groups));
    qkv = register_module("qkv", conv1x1(channels, 3 * channels));
    project = register_module("project", zero_start(conv1x1(channels, channels)));
  }

  Tensor forward(const Tensor& x, const Tensor&) override {
    const auto parts = qkv(norm(x)).flatten(2).chunk(3, 1);  // each [B, C, H*W]
    const double scale = 1.0 / std::sqrt(static_cast<double>(x.size(1)));
    const Tensor weights = torch::softmax(torch::bmm(parts[0].transpose(1, 2), parts[1]) * scale, -1);
    return x + project(torch::bmm(parts[2], weights.transpose(1, 2)).view_as(x));
  }

  torch::nn::GroupNorm norm{nullptr};
  torch::nn::Conv2d qkv{nullptr}, project{nullptr};
};

/// Halves height and width by averaging; the next block changes the width.
struct Downsample : Stage {
  Tensor forward(const Tensor& x, const Tensor&) override { return torch::avg_pool2d(x, 2); }
};

/// Doubles height and width by repetition; the next block smooths.
struct Upsample : Stage {
  Tensor forward(const Tensor& x, const Tensor&) override { return torch::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}); }
};

void check(const UNetConfig& config) {
  const auto fail = [](const std::string& what) { throw InvalidArgument("[UNet] " + what); };
  const auto& mult = config.channel_mult;
  if (config.channels < 1 || config.blocks < 1 || config.groups < 1 || config.patch < 1)
    fail("expected positive channels, blocks, groups and patch");
  if (mult.empty() || std::any_of(mult.begin(), mult.end(), [](auto m) { return m < 1; }))
    fail("expected channel_mult of positive integers");
  if (config.shape.dim() < 1) fail("expected a shape of positive sizes, got " + to_string(config.shape));
  const std::int64_t factor = config.patch << (mult.size() - 1);
  if (config.shape.height % factor != 0 || config.shape.width % factor != 0)
    fail("expected height and width divisible by " + std::to_string(factor) + " for " + std::to_string(mult.size()) + " levels, got " +
         to_string(config.shape));
  for (const auto level : config.attention)
    if (level < 0 || level >= static_cast<std::int64_t>(mult.size()))
      fail("attention names level " + std::to_string(level) + ", which does not exist");
}

}  // namespace

std::string UNetConfig::to_json() const {
  return nlohmann::json{{"type", "unet"},       {"shape", {shape.channels, shape.height, shape.width}},
                        {"channels", channels}, {"channel_mult", channel_mult},
                        {"blocks", blocks},     {"attention", attention},
                        {"groups", groups},     {"patch", patch}}
      .dump();
}

UNetConfig UNetConfig::from_json(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    const auto& shape = json.at("shape");
    return {.shape = {shape.at(0), shape.at(1), shape.at(2)},
            .channels = json.at("channels"),
            .channel_mult = json.at("channel_mult"),
            .blocks = json.at("blocks"),
            .attention = json.at("attention"),
            .groups = json.at("groups"),
            .patch = json.at("patch")};
  } catch (const nlohmann::json::exception& e) {
    throw InvalidArgument(std::string("[UNetConfig::from_json] expected a U-Net's configuration: ") + e.what());
  }
}

UNetImpl::UNetImpl(const UNetConfig& config) : config_(config) {
  check(config);
  const auto levels = static_cast<std::int64_t>(config.channel_mult.size());
  const std::int64_t embedding = 4 * config.channels;
  const auto width = [&](std::int64_t level) { return config.channels * config.channel_mult[level]; };
  const auto attends = [&](std::int64_t level) {
    return std::find(config.attention.begin(), config.attention.end(), level) != config.attention.end();
  };
  const auto block = [&](std::int64_t in, std::int64_t out) { return std::make_shared<ResidualBlock>(in, out, embedding, config.groups); };

  // c_noise = ln(sigma)/4 spans about [-1.6, 1.1]; angular frequencies 1 .. 30 resolve it to ~0.05 and vary smoothly at the slow end.
  frequencies_ = torch::exp(torch::linspace(0.0, std::log(30.0), config.channels / 2 + 1));
  embed0_ = register_module("embed0", torch::nn::Linear(2 * frequencies_.numel(), embedding));
  embed1_ = register_module("embed1", torch::nn::Linear(embedding, embedding));
  const std::int64_t patch_channels = config.shape.channels * config.patch * config.patch;
  input_ = register_module("input", conv3x3(patch_channels, width(0)));

  std::vector<std::int64_t> skips{width(0)};  // widths of the encoder's outputs, consumed from the back by the decoder
  std::int64_t current = width(0);
  for (std::int64_t level = 0; level < levels; ++level) {
    for (std::int64_t i = 0; i < config.blocks; ++i) {
      encoder_->push_back(block(current, width(level)));
      current = width(level);
      if (attends(level)) encoder_->push_back(std::make_shared<Attention>(current, config.groups));
      skips.push_back(current);
    }
    if (level + 1 < levels) {
      encoder_->push_back(std::make_shared<Downsample>());
      skips.push_back(current);
    }
  }
  for (std::int64_t level = levels - 1; level >= 0; --level) {
    for (std::int64_t i = 0; i <= config.blocks; ++i) {
      decoder_->push_back(block(current + skips.back(), width(level)));
      skips.pop_back();
      current = width(level);
      if (attends(level)) decoder_->push_back(std::make_shared<Attention>(current, config.groups));
    }
    if (level > 0) decoder_->push_back(std::make_shared<Upsample>());
  }
  register_module("encoder", encoder_);
  register_module("decoder", decoder_);
  output_norm_ = register_module("output_norm", group_norm(current, config.groups));
  output_ = register_module("output", zero_start(conv3x3(current, patch_channels)));
}

Tensor UNetImpl::forward(const Tensor& x, const Tensor& c_noise) {
  const Tensor angles = c_noise.unsqueeze(1) * frequencies_;
  Tensor embedding = torch::cat({angles.sin(), angles.cos()}, 1);
  embedding = torch::silu(embed1_(torch::silu(embed0_(embedding))));

  Tensor h = input_(torch::pixel_unshuffle(x, config_.patch).contiguous(at::MemoryFormat::ChannelsLast));
  std::vector<Tensor> skips{h};
  for (const auto& module : *encoder_) {
    auto& stage = *module->as<Stage>();
    h = stage.forward(h, embedding);
    if (module->as<Attention>() != nullptr)
      skips.back() = h;  // attention refines the block before it
    else
      skips.push_back(h);
  }
  for (const auto& module : *decoder_) {
    auto& stage = *module->as<Stage>();
    if (module->as<ResidualBlock>() != nullptr) {
      h = torch::cat({h, skips.back()}, 1);
      skips.pop_back();
    }
    h = stage.forward(h, embedding);
  }
  return torch::pixel_shuffle(output_(norm_silu_of(output_norm_, h)), config_.patch);
}

}  // namespace headstart
