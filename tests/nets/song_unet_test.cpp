#include "headstart/nets/song_unet.h"

#include <set>

#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

SongUNetConfig small_unet() {
  return {.shape = {1, 8, 8}, .model_channels = 8, .channel_mult = {1, 2}, .num_blocks = 1, .attn_resolutions = {}, .dropout = 0};
}

SongUNetConfig with(SongUNetConfig config, const std::function<void(SongUNetConfig&)>& change) {
  change(config);
  return config;
}

std::vector<SongUNetConfig> configs() {
  return {small_unet(),
          with(small_unet(), [](auto& c) { c.adaptive_scale = true, c.embedding_type = "geometric", c.patch = 2; }),
          with(small_unet(),
               [](auto& c) {
                 c.attn_resolutions = {8}, c.num_blocks = 2, c.shape = {3, 8, 4};
               }),
          with(small_unet(), [](auto& c) { c.encoder_type = "residual", c.embedding_type = "fourier", c.channel_mult_noise = 2; }),
          with(small_unet(),
               [](auto& c) {
                 c.encoder_type = "residual", c.resample_filter = {1, 3, 3, 1}, c.channel_mult = {1, 2, 2};
               }),
          with(small_unet(),
               [](auto& c) {
                 c.encoder_type = "skip", c.decoder_type = "skip", c.resample_filter = {1, 3, 3, 1};
               }),
          with(small_unet(), [](auto& c) {
            c.model_channels = 6, c.channel_mult = {1}, c.shape = {2, 7, 5};
          })};
}

Tensor images_of(const ImageShape& shape, std::int64_t batch) {
  torch::manual_seed(0);
  return torch::randn({batch, shape.channels, shape.height, shape.width});
}

SongUNet perturbed(const SongUNetConfig& config) {
  torch::manual_seed(3);
  SongUNet network(config);
  network->eval();
  perturb(*network);
  return network;
}

std::set<std::string> names_of(const SongUNetConfig& config) {
  std::set<std::string> names;
  SongUNet network(config);
  for (const auto& item : network->named_parameters()) names.insert(item.key());
  for (const auto& item : network->named_buffers()) names.insert(item.key());
  return names;
}

TEST(SongUNet, StartsNearZeroAndKeepsTheShape) {
  for (const auto& config : configs()) {
    SongUNet network(config);
    const Tensor x = images_of(config.shape, 3), y = network->forward(x, torch::tensor({-1.0F, 0.0F, 1.0F}));
    EXPECT_EQ(y.sizes(), x.sizes()) << config.to_json();
    EXPECT_LT(max_abs(y), 1e-3) << config.to_json();
  }
}

// The formulas again, over the parameters by name: convolution, block, attention, skips. Only what a one-level network without
// resampling uses.
struct ByFormula {
  torch::OrderedDict<std::string, Tensor> p;
  bool adaptive;

  Tensor get(const std::string& name) const { return p[name].to(torch::kFloat64); }
  Tensor conv(const std::string& name, const Tensor& x) const {
    const Tensor w = get(name + ".weight");
    return torch::conv2d(x, w, get(name + ".bias"), 1, w.size(2) / 2);
  }
  Tensor norm(const std::string& name, const Tensor& x) const {
    const std::int64_t groups = x.size(1) / 4;
    const Tensor g = x.reshape({x.size(0), groups, -1});
    const Tensor centred = g - g.mean(2, true), hat = (centred / (centred.square().mean(2, true) + 1e-6).sqrt()).view(x.sizes());
    return hat * get(name + ".weight").view({1, -1, 1, 1}) + get(name + ".bias").view({1, -1, 1, 1});
  }
  Tensor linear(const std::string& name, const Tensor& x) const { return x.matmul(get(name + ".weight").t()) + get(name + ".bias"); }
  Tensor block(const std::string& name, const Tensor& x, const Tensor& embedding) const {
    const Tensor row = linear(name + ".affine", embedding).unsqueeze(2).unsqueeze(3);
    Tensor h = conv(name + ".conv0", torch::silu(norm(name + ".norm0", x)));
    if (adaptive)
      h = norm(name + ".norm1", h) * (1 + row.slice(1, 0, h.size(1))) + row.slice(1, h.size(1));
    else
      h = norm(name + ".norm1", h + row);
    h = (conv(name + ".conv1", torch::silu(h)) + (p.contains(name + ".skip.weight") ? conv(name + ".skip", x) : x)) / std::sqrt(2.0);
    if (!p.contains(name + ".qkv.weight")) return h;
    const Tensor qkv = conv(name + ".qkv", norm(name + ".norm2", h)).flatten(2);  // channel 3c + i is c of q, k, v
    const auto every = [&](std::int64_t i) { return qkv.slice(1, i, c10::nullopt, 3); };
    const Tensor weights = torch::softmax(every(0).transpose(1, 2).matmul(every(1)) / std::sqrt(static_cast<double>(h.size(1))), 2);
    const Tensor mixed = every(2).matmul(weights.transpose(1, 2)).view(h.sizes());
    return (h + conv(name + ".proj", mixed)) / std::sqrt(2.0);
  }
};

TEST(SongUNet, IsItsFormulas) {
  for (const bool adaptive : {false, true}) {
    const SongUNetConfig config = with(small_unet(), [&](auto& c) {
      c.channel_mult = {1}, c.attn_resolutions = {8}, c.adaptive_scale = adaptive, c.label_dim = 3, c.augment_dim = 2;
    });
    SongUNet network = perturbed(config);
    const torch::NoGradGuard no_grad;
    const ByFormula f{network->named_parameters(), adaptive};
    const Tensor x = images_of(config.shape, 2), level = torch::tensor({-0.7F, 0.9F});
    const Tensor classes = torch::tensor({{0.0F, 1.0F, 0.0F}, {1.0F, 0.0F, 0.0F}}), augment = torch::tensor({{0.5F, -1.0F}, {0.0F, 2.0F}});

    const Tensor frequencies = torch::pow(1e-4, torch::arange(4, torch::kFloat64) / 3);
    const Tensor angles = torch::outer(level.to(torch::kFloat64), frequencies);
    Tensor e = torch::cat({angles.sin(), angles.cos()}, 1) + f.linear("map_label", classes.to(torch::kFloat64) * std::sqrt(3.0)) +
               augment.to(torch::kFloat64).matmul(f.get("map_augment.weight").t());
    e = torch::silu(f.linear("map_layer1", torch::silu(f.linear("map_layer0", e))));
    const Tensor first = f.conv("enc.8x8_conv", x.to(torch::kFloat64)), second = f.block("enc.8x8_block0", first, e);
    Tensor h = f.block("dec.8x8_in1", f.block("dec.8x8_in0", second, e), e);
    h = f.block("dec.8x8_block0", torch::cat({h, second}, 1), e);
    h = f.block("dec.8x8_block1", torch::cat({h, first}, 1), e);
    const Tensor expected = f.conv("dec.8x8_aux_conv", torch::silu(f.norm("dec.8x8_aux_norm", h)));
    EXPECT_LT(max_abs(network->forward(x, level, classes, augment).to(torch::kFloat64) - expected), 1e-5 * max_abs(expected));
  }
}

TEST(SongUNet, IsConditionedOnTheNoiseLevelOnceTrained) {
  for (const auto& config : configs()) {
    SongUNet network = perturbed(config);
    const torch::NoGradGuard no_grad;
    const Tensor x = images_of(config.shape, 1).expand({3, -1, -1, -1}).contiguous();
    const Tensor y = network->forward(x, torch::tensor({-1.0F, -0.9F, 1.0F}));
    EXPECT_TRUE(y.isfinite().all().item<bool>());
    EXPECT_GT(max_abs(y[0] - y[1]), 1e-4 * max_abs(y)) << config.to_json();
    EXPECT_GT(max_abs(y[0] - y[2]), 1e-3 * max_abs(y)) << config.to_json();
  }
}

TEST(SongUNet, PassesAGradientToEveryParameter) {
  for (const auto& config : configs()) {
    SongUNet network = perturbed(config);
    network->forward(images_of(config.shape, 2), torch::tensor({-1.0F, 0.5F})).square().mean().backward();
    for (const auto& item : network->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key() << " of " << config.to_json();
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
      EXPECT_GT(max_abs(item.value().grad()), 0) << item.key() << " of " << config.to_json();
    }
  }
}

// Differences, so that no gradient code is trusted.
TEST(SongUNet, LooksAtAllOfASmallImage) {
  SongUNet network = perturbed(small_unet());
  const torch::NoGradGuard no_grad;
  const Tensor x = images_of(small_unet().shape, 1).expand({64, -1, -1, -1}).contiguous(), moved = x.clone();
  for (std::int64_t i = 0; i < 64; ++i) moved[i].view(-1)[i] += 1;
  const Tensor level = torch::zeros({64}), difference = (network->forward(moved, level) - network->forward(x, level)).flatten(1);
  EXPECT_GT(difference.abs().sum(1).min().item<double>(), 0);
}

TEST(SongUNet, ComputesAlmostTheSameInBfloat16) {
  for (const auto& config : configs()) {
    SongUNet network = perturbed(config);
    const Tensor x = images_of(config.shape, 2), level = torch::tensor({-1.0F, 0.5F});
    const auto run = [&](torch::ScalarType type) {
      network->set_compute_type(type);
      const Tensor y = network->forward(x, level);
      EXPECT_EQ(y.scalar_type(), torch::kFloat32);
      std::vector<Tensor> gradient;
      for (const auto& g : torch::autograd::grad({y.square().mean()}, network->parameters())) gradient.push_back(g.reshape(-1));
      return std::pair(y.detach(), torch::cat(gradient));
    };
    const auto [full, full_gradient] = run(torch::kFloat32);
    const auto [half, half_gradient] = run(torch::kBFloat16);
    EXPECT_LT((full - half).norm().item<double>(), 0.05 * full.norm().item<double>()) << config.to_json();
    EXPECT_GT((full - half).norm().item<double>(), 0) << "bfloat16 was not used";
    EXPECT_GT(torch::cosine_similarity(full_gradient, half_gradient, 0).item<double>(), 0.98) << config.to_json();
  }
}

TEST(SongUNet, TellsClassesApart) {
  SongUNet network = perturbed(with(small_unet(), [](auto& c) { c.label_dim = 2; }));
  const torch::NoGradGuard no_grad;
  const Tensor x = images_of(small_unet().shape, 1), level = torch::zeros({1});
  const Tensor one = network->forward(x, level, torch::tensor({{1.0F, 0.0F}}));
  EXPECT_GT(max_abs(one - network->forward(x, level)), 1e-4);
  EXPECT_GT(max_abs(one - network->forward(x, level, torch::tensor({{0.0F, 1.0F}}))), 1e-4);
}

TEST(SongUNet, CarriesEdmsNames) {
  const auto plain = names_of(with(small_unet(), [](auto& c) { c.attn_resolutions = {8}; }));
  for (const char* name : {"map_layer0.weight",           "map_layer1.bias",
                           "enc.8x8_conv.weight",         "enc.8x8_block0.norm0.weight",
                           "enc.8x8_block0.conv0.weight", "enc.8x8_block0.affine.bias",
                           "enc.8x8_block0.norm1.bias",   "enc.8x8_block0.conv1.bias",
                           "enc.8x8_block0.norm2.weight", "enc.8x8_block0.qkv.weight",
                           "enc.8x8_block0.proj.bias",    "enc.4x4_down.skip.weight",
                           "enc.4x4_block0.skip.weight",  "dec.4x4_in0.qkv.weight",
                           "dec.4x4_in1.conv0.weight",    "dec.4x4_block1.skip.bias",
                           "dec.8x8_up.conv0.weight",     "dec.8x8_up.skip.weight",
                           "dec.8x8_block1.qkv.bias",     "dec.8x8_aux_norm.weight",
                           "dec.8x8_aux_conv.weight"})
    EXPECT_TRUE(plain.contains(name)) << name;
  for (const char* name : {"map_noise.freqs", "dec.8x8_block0.qkv.weight", "enc.4x4_block0.qkv.weight", "map_label.weight"})
    EXPECT_FALSE(plain.contains(name)) << name;

  const auto residual = names_of(configs()[3]);
  EXPECT_TRUE(residual.contains("map_noise.freqs"));
  EXPECT_TRUE(residual.contains("enc.4x4_aux_residual.weight"));
  const auto skip = names_of(configs()[5]);
  for (const char* name : {"enc.4x4_aux_skip.weight", "dec.4x4_aux_norm.weight", "dec.4x4_aux_conv.weight"})
    EXPECT_TRUE(skip.contains(name)) << name;
  EXPECT_FALSE(skip.contains("enc.4x4_aux_down.weight"));
}

// arXiv 2206.00364, appendix F, has 55.7 million parameters for CIFAR-10 and 61.8 at 64 x 64. NCSN++ adds the wider noise embedding and
// the convolutions of its residual encoder (3 -> 256 and 256 -> 256).
TEST(SlowSongUNet, IsDdpmPlusPlusAndNcsnPlusPlus) {
  const torch::NoGradGuard no_grad;
  const auto millions = [](const SongUNet& network) { return static_cast<double>(count_parameters(*network)) / 1e6; };
  const ImageShape cifar{3, 32, 32}, faces{3, 64, 64};
  SongUNet ddpmpp(SongUNetConfig::ddpmpp(cifar)), ncsnpp(SongUNetConfig::ncsnpp(cifar));
  EXPECT_NEAR(millions(ddpmpp), 55.7, 0.05);
  EXPECT_EQ(count_parameters(*ncsnpp) - count_parameters(*ddpmpp), 128 * (512 + 9) + (9 * 3 + 1) * 256 + (9 * 256 + 1) * 256);
  EXPECT_NEAR(millions(SongUNet(SongUNetConfig::ddpmpp(faces))), 61.8, 0.05);
  for (auto* network : {&ddpmpp, &ncsnpp}) {
    (*network)->eval();
    const Tensor y = (*network)->forward(images_of(cifar, 1), torch::zeros({1}));
    EXPECT_EQ(y.sizes().vec(), (std::vector<std::int64_t>{1, 3, 32, 32}));
    EXPECT_TRUE(y.isfinite().all().item<bool>());
  }
}

TEST(SongUNet, RefusesWhatCannotBeBuilt) {
  const auto build = [](const std::function<void(SongUNetConfig&)>& change) {
    return [change] { SongUNet network(with(small_unet(), change)); };
  };
  expect_error<InvalidArgument>({"[SongUNet] expected height and width divisible by 4 for 3 levels, got 1,8,6"}, build([](auto& c) {
                                  c.channel_mult = {1, 2, 2}, c.shape.width = 6;
                                }));
  expect_error<InvalidArgument>({"expected even model_channels >= 4, got 7"}, build([](auto& c) { c.model_channels = 7; }));
  expect_error<InvalidArgument>({"positive num_blocks"}, build([](auto& c) { c.num_blocks = 0; }));
  expect_error<InvalidArgument>({"positive num_blocks, patch"}, build([](auto& c) { c.patch = 0; }));
  expect_error<InvalidArgument>({"channel_mult of positive integers"}, build([](auto& c) { c.channel_mult = {}; }));
  expect_error<InvalidArgument>({"channel_mult of positive integers"}, build([](auto& c) { c.channel_mult = {1, 0}; }));
  expect_error<InvalidArgument>({"dropout in [0, 1), got 1"}, build([](auto& c) { c.dropout = 1; }));
  expect_error<InvalidArgument>({"expected a shape of positive sizes, got 0,8,8"}, build([](auto& c) { c.shape.channels = 0; }));
  expect_error<InvalidArgument>({"resample_filter of an even number"}, build([](auto& c) { c.resample_filter = {1, 2, 1}; }));
  expect_error<InvalidArgument>({"embedding_type to be one of positional, fourier, geometric, got sine"},
                                build([](auto& c) { c.embedding_type = "sine"; }));
  expect_error<InvalidArgument>({"encoder_type to be one of standard, skip, residual, got x"},
                                build([](auto& c) { c.encoder_type = "x"; }));
  expect_error<InvalidArgument>({"decoder_type to be one of standard, skip, got residual"},
                                build([](auto& c) { c.decoder_type = "residual"; }));
}

TEST(SongUNetConfig, SurvivesATripThroughJson) {
  for (const auto& config : configs()) EXPECT_EQ(SongUNetConfig::from_json(config.to_json()).to_json(), config.to_json());
  const auto back = SongUNetConfig::from_json(configs()[3].to_json());
  EXPECT_EQ(back.encoder_type, "residual");
  EXPECT_EQ(back.channel_mult_noise, 2);
}

TEST(SongUNetConfig, RefusesJsonThatIsNone) {
  for (const char* text : {"", "{", "[]", "3", R"({"type": "song_unet"})", R"({"shape": 3})"})
    expect_error<InvalidArgument>({"[SongUNetConfig::from_json] expected a U-Net's configuration"},
                                  [&] { SongUNetConfig::from_json(text); });
}

}  // namespace
}  // namespace headstart
