#include "headstart/nets/song_unet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numbers>

#include "headstart/error.h"
#include "unet_block.h"

namespace headstart {
namespace {

using torch::Tensor;

bool contains(const std::vector<std::int64_t>& values, std::int64_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// c_noise [B] to sines and cosines [B, channels].
struct NoiseEmbedding : torch::nn::Module {
  virtual Tensor forward(const Tensor& c_noise) = 0;
};

/// cos and sin of c_noise * f, at given angular frequencies.
struct PositionalEmbedding : NoiseEmbedding {
  explicit PositionalEmbedding(Tensor frequencies) : frequencies_(std::move(frequencies)) {}
  Tensor forward(const Tensor& c_noise) override {
    const Tensor angles = torch::outer(c_noise, frequencies_.to(c_noise.device()));
    return torch::cat({angles.sin(), angles.cos()}, 1);
  }
  Tensor frequencies_;
};

/// Random frequencies, drawn once and stored with the weights as `freqs` (Tancik et al., arXiv 2006.10739).
struct FourierEmbedding : NoiseEmbedding {
  explicit FourierEmbedding(std::int64_t channels) : freqs(register_buffer("freqs", torch::randn({channels / 2}) * 16)) {}
  Tensor forward(const Tensor& c_noise) override {
    const Tensor angles = torch::outer(c_noise, 2 * std::numbers::pi * freqs);
    return torch::cat({angles.sin(), angles.cos()}, 1);
  }
  Tensor freqs;
};

std::shared_ptr<NoiseEmbedding> noise_embedding(const std::string& type, std::int64_t channels) {
  if (type == "fourier") return std::make_shared<FourierEmbedding>(channels);
  // positional: periods from 2 pi to 10,000 times that, DDPM's for step numbers. geometric: c_noise = ln(sigma)/4 spans only about
  // [-1.6, 1.1]; frequencies 1 .. 30 resolve it to ~0.05 and vary smoothly at the slow end.
  const double last = type == "positional" ? 1e-4 : 30.0;
  return std::make_shared<PositionalEmbedding>(torch::exp(torch::linspace(0.0, std::log(last), channels / 2)));
}

/// EDM averages the two paths of the residual encoder.
Tensor average(const Tensor& a, const Tensor& b) { return (a + b) * std::sqrt(0.5); }

void check(const SongUNetConfig& c) {
  const auto fail = [](const std::string& what) { throw InvalidArgument("[SongUNet] " + what); };
  const auto one_of = [&](const char* name, const std::string& value, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), value) != known.end()) return;
    std::string list;
    for (const auto& k : known) list += (list.empty() ? "" : ", ") + k;
    fail(fmt::format("expected {} to be one of {}, got {}", name, list, value));
  };
  one_of("embedding_type", c.embedding_type, {"positional", "fourier", "geometric"});
  one_of("encoder_type", c.encoder_type, {"standard", "skip", "residual"});
  one_of("decoder_type", c.decoder_type, {"standard", "skip"});
  if (c.model_channels < 4 || c.model_channels % 2 != 0) fail(fmt::format("expected even model_channels >= 4, got {}", c.model_channels));
  if (c.num_blocks < 1 || c.patch < 1 || c.channel_mult_emb < 1 || c.channel_mult_noise < 1 || c.label_dim < 0 || c.augment_dim < 0)
    fail("expected positive num_blocks, patch, channel_mult_emb and channel_mult_noise");
  if (!(c.dropout >= 0 && c.dropout < 1)) fail(fmt::format("expected dropout in [0, 1), got {}", c.dropout));
  if (c.channel_mult.empty() || std::any_of(c.channel_mult.begin(), c.channel_mult.end(), [](auto m) { return m < 1; }))
    fail("expected channel_mult of positive integers");
  if (c.resample_filter.size() < 2 || c.resample_filter.size() % 2 != 0) fail("expected a resample_filter of an even number of weights");
  if (c.shape.dim() < 1) fail("expected a shape of positive sizes, got " + to_string(c.shape));
  const std::int64_t factor = c.patch << (c.channel_mult.size() - 1);
  if (c.shape.height % factor != 0 || c.shape.width % factor != 0)
    fail(fmt::format("expected height and width divisible by {} for {} levels, got {}", factor, c.channel_mult.size(), to_string(c.shape)));
}

/// Name of a level, after its height and width.
std::string level_name(const SongUNetConfig& config, std::int64_t level) {
  return fmt::format("{}x{}", (config.shape.height / config.patch) >> level, (config.shape.width / config.patch) >> level);
}

bool attends(const SongUNetConfig& config, std::int64_t level) {
  return contains(config.attn_resolutions, (config.shape.height / config.patch) >> level);
}

UNetBlockOptions block_options(const SongUNetConfig& config, std::int64_t in, std::int64_t out) {
  return {.in = in,
          .out = out,
          .embedding = config.model_channels * config.channel_mult_emb,
          .filter = config.resample_filter,
          .adaptive_scale = config.adaptive_scale,
          .dropout = config.dropout};
}

}  // namespace

SongUNetConfig SongUNetConfig::ddpmpp(const ImageShape& shape) {
  SongUNetConfig config{.shape = shape, .augment_dim = 9};
  if (shape.height > 32) {  // EDM's for FFHQ and AFHQv2
    config.channel_mult = {1, 2, 2, 2};
    config.dropout = 0.05;
  }
  return config;
}

SongUNetConfig SongUNetConfig::ncsnpp(const ImageShape& shape) {
  SongUNetConfig config = ddpmpp(shape);
  config.embedding_type = "fourier";
  config.encoder_type = "residual";
  config.channel_mult_noise = 2;
  config.resample_filter = {1, 3, 3, 1};
  return config;
}

SongUNetConfig SongUNetConfig::small(const ImageShape& shape) {
  return {.shape = shape,
          .model_channels = 48,
          .channel_mult = {1, 2},
          .num_blocks = 1,
          .attn_resolutions = {},
          .dropout = 0,
          .embedding_type = "geometric",
          .adaptive_scale = true};
}

std::string SongUNetConfig::to_json() const {
  return nlohmann::json{{"type", "song_unet"},
                        {"shape", {shape.channels, shape.height, shape.width}},
                        {"model_channels", model_channels},
                        {"channel_mult", channel_mult},
                        {"channel_mult_emb", channel_mult_emb},
                        {"channel_mult_noise", channel_mult_noise},
                        {"num_blocks", num_blocks},
                        {"attn_resolutions", attn_resolutions},
                        {"dropout", dropout},
                        {"label_dim", label_dim},
                        {"augment_dim", augment_dim},
                        {"embedding_type", embedding_type},
                        {"encoder_type", encoder_type},
                        {"decoder_type", decoder_type},
                        {"resample_filter", resample_filter},
                        {"adaptive_scale", adaptive_scale},
                        {"patch", patch}}
      .dump();
}

SongUNetConfig SongUNetConfig::from_json(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    const auto& shape = json.at("shape");
    return {.shape = {shape.at(0), shape.at(1), shape.at(2)},
            .model_channels = json.at("model_channels"),
            .channel_mult = json.at("channel_mult"),
            .channel_mult_emb = json.at("channel_mult_emb"),
            .channel_mult_noise = json.at("channel_mult_noise"),
            .num_blocks = json.at("num_blocks"),
            .attn_resolutions = json.at("attn_resolutions"),
            .dropout = json.at("dropout"),
            .label_dim = json.at("label_dim"),
            .augment_dim = json.at("augment_dim"),
            .embedding_type = json.at("embedding_type"),
            .encoder_type = json.at("encoder_type"),
            .decoder_type = json.at("decoder_type"),
            .resample_filter = json.at("resample_filter"),
            .adaptive_scale = json.at("adaptive_scale"),
            .patch = json.at("patch")};
  } catch (const nlohmann::json::exception& e) {
    throw InvalidArgument(std::string("[SongUNetConfig::from_json] expected a U-Net's configuration: ") + e.what());
  }
}

SongUNetImpl::SongUNetImpl(const SongUNetConfig& config) : config_(config) {
  check(config);
  const std::int64_t noise = config.model_channels * config.channel_mult_noise, embedding = config.model_channels * config.channel_mult_emb;
  map_noise_ = register_module("map_noise", std::static_pointer_cast<torch::nn::Module>(noise_embedding(config.embedding_type, noise)));
  if (config.label_dim > 0) map_label_ = register_module("map_label", linear(config.label_dim, noise));
  if (config.augment_dim > 0) map_augment_ = register_module("map_augment", linear(config.augment_dim, noise, false));
  map_layer0_ = register_module("map_layer0", linear(noise, embedding));
  map_layer1_ = register_module("map_layer1", linear(embedding, embedding));
  encoder_ = register_module("enc", std::make_shared<torch::nn::Module>());
  decoder_ = register_module("dec", std::make_shared<torch::nn::Module>());
  std::vector<std::int64_t> skip_widths;
  build_encoder(skip_widths);
  build_decoder(std::move(skip_widths));
}

void SongUNetImpl::build_encoder(std::vector<std::int64_t>& skip_widths) {
  const auto& c = config_;
  std::int64_t width = c.model_channels, aux_width = c.shape.channels * c.patch * c.patch;
  for (std::int64_t level = 0; level < static_cast<std::int64_t>(c.channel_mult.size()); ++level) {
    const std::string name = level_name(c, level);
    if (level == 0) {
      encoder_->register_module(name + "_conv", Conv(ConvOptions{.in = aux_width, .out = width}));
      skip_widths.push_back(width);
    } else {
      auto down = block_options(c, width, width);
      down.mode = Resample::down;
      encoder_->register_module(name + "_down", UNetBlock(down));
      skip_widths.push_back(width);
      ConvOptions aux{.in = aux_width, .out = width, .mode = Resample::down, .filter = c.resample_filter, .fused = true};
      if (c.encoder_type == "skip") {
        encoder_->register_module(
            name + "_aux_down",
            Conv(ConvOptions{.in = aux_width, .out = aux_width, .kernel = 0, .mode = Resample::down, .filter = c.resample_filter}));
        encoder_->register_module(name + "_aux_skip", Conv(ConvOptions{.in = aux_width, .out = width, .kernel = 1}));
      } else if (c.encoder_type == "residual") {
        encoder_->register_module(name + "_aux_residual", Conv(aux));
        aux_width = width;
      }
    }
    for (std::int64_t i = 0; i < c.num_blocks; ++i) {
      auto block = block_options(c, width, c.model_channels * c.channel_mult[level]);
      block.attention = attends(c, level);
      encoder_->register_module(fmt::format("{}_block{}", name, i), UNetBlock(block));
      skip_widths.push_back(width = block.out);
    }
  }
}

void SongUNetImpl::build_decoder(std::vector<std::int64_t> skip_widths) {
  const auto& c = config_;
  const std::int64_t last = static_cast<std::int64_t>(c.channel_mult.size()) - 1, out = c.shape.channels * c.patch * c.patch;
  std::int64_t width = c.model_channels * c.channel_mult[last];
  for (std::int64_t level = last; level >= 0; --level) {
    const std::string name = level_name(c, level);
    auto same = block_options(c, width, width);
    if (level == last) {
      same.attention = true;
      decoder_->register_module(name + "_in0", UNetBlock(same));
      same.attention = false;
      decoder_->register_module(name + "_in1", UNetBlock(same));
    } else {
      same.mode = Resample::up;
      decoder_->register_module(name + "_up", UNetBlock(same));
    }
    for (std::int64_t i = 0; i <= c.num_blocks; ++i) {
      auto block = block_options(c, width + skip_widths.back(), c.model_channels * c.channel_mult[level]);
      skip_widths.pop_back();
      block.attention = i == c.num_blocks && attends(c, level);
      decoder_->register_module(fmt::format("{}_block{}", name, i), UNetBlock(block));
      width = block.out;
    }
    if (c.decoder_type == "skip" || level == 0) {
      if (level < last && c.decoder_type == "skip")
        decoder_->register_module(name + "_aux_up",
                                  Conv(ConvOptions{.in = out, .out = out, .kernel = 0, .mode = Resample::up, .filter = c.resample_filter}));
      decoder_->register_module(name + "_aux_norm", Norm(width));
      decoder_->register_module(name + "_aux_conv", Conv(ConvOptions{.in = width, .out = out, .init_scale = 1e-5}));
    }
  }
}

Tensor SongUNetImpl::embed(const Tensor& c_noise, const Tensor& classes, const Tensor& augment) {
  Tensor embedding = map_noise_->as<NoiseEmbedding>()->forward(c_noise);
  if (map_label_ && classes.defined()) embedding = embedding + map_label_(classes * std::sqrt(static_cast<double>(config_.label_dim)));
  if (map_augment_ && augment.defined()) embedding = embedding + map_augment_(augment);
  return torch::silu(map_layer1_(torch::silu(map_layer0_(embedding))));
}

Tensor SongUNetImpl::forward(const Tensor& x, const Tensor& c_noise, const Tensor& classes, const Tensor& augment) {
  const Tensor embedding = embed(c_noise, classes, augment);
  Tensor h = torch::pixel_unshuffle(x, config_.patch).to(compute_type_).contiguous(at::MemoryFormat::ChannelsLast);
  Tensor aux = h;
  std::vector<Tensor> skips;
  const auto ends_with = [](const std::string& name, const char* end) { return name.ends_with(end); };
  for (const auto& [name, module] : encoder_->named_children().pairs()) {
    if (auto* block = module->as<UNetBlock>())
      skips.push_back(h = block->forward(h, embedding));
    else if (ends_with(name, "_aux_down"))
      aux = module->as<Conv>()->forward(aux);
    else if (ends_with(name, "_aux_skip"))
      skips.back() = h = h + module->as<Conv>()->forward(aux);
    else if (ends_with(name, "_aux_residual"))
      skips.back() = h = aux = average(h, module->as<Conv>()->forward(aux));
    else
      skips.push_back(h = module->as<Conv>()->forward(h));
  }
  aux = Tensor();
  Tensor normed;
  for (const auto& [name, module] : decoder_->named_children().pairs()) {
    if (auto* block = module->as<UNetBlock>()) {
      if (h.size(1) != block->in_channels()) {
        h = torch::cat({h, skips.back()}, 1);
        skips.pop_back();
      }
      h = block->forward(h, embedding);
    } else if (ends_with(name, "_aux_up")) {
      aux = module->as<Conv>()->forward(aux);
    } else if (auto* norm = module->as<Norm>()) {
      normed = norm->silu(h);
    } else {
      const Tensor out = module->as<Conv>()->forward(normed);
      aux = aux.defined() ? aux + out : out;
    }
  }
  return torch::pixel_shuffle(aux.to(torch::kFloat32), config_.patch);
}

std::int64_t count_parameters(const torch::nn::Module& module) {
  std::int64_t total = 0;
  for (const auto& parameter : module.parameters()) total += parameter.numel();
  return total;
}

}  // namespace headstart
