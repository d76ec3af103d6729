#include "headstart/nets/unet.h"

#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

UNetConfig old_tiny() { return {.shape = {1, 8, 8}, .channels = 8, .channel_mult = {1, 2}, .blocks = 1, .groups = 4}; }
UNetConfig old_shipped() { return {.shape = {1, 28, 28}, .channels = 64, .channel_mult = {1, 2}, .blocks = 1, .patch = 2}; }

std::vector<UNetConfig> configs() {
  return {old_tiny(),
          old_shipped(),
          {.shape = {3, 16, 8}, .channels = 8, .channel_mult = {1, 2}, .blocks = 2, .attention = {1}},
          {.shape = {3, 16, 16}, .channels = 6, .channel_mult = {1, 2, 3}, .blocks = 1, .attention = {0, 2}, .groups = 4, .patch = 2},
          {.shape = {2, 7, 5}, .channels = 5, .channel_mult = {2}, .blocks = 1},  // one level, odd sizes, no group fits but 2 and 5
          {.shape = {1, 12, 12}, .channels = 4, .channel_mult = {1}, .blocks = 1, .patch = 3}};
}

Tensor images_of(const ImageShape& shape, std::int64_t batch, std::int64_t seed = 0) {
  torch::manual_seed(static_cast<std::uint64_t>(seed));
  return torch::randn({batch, shape.channels, shape.height, shape.width});
}

TEST(UNet, StartsAtZeroAndKeepsTheShape) {
  for (const auto& config : configs()) {
    UNet network(config);
    const Tensor x = images_of(config.shape, 3), y = network->forward(x, torch::tensor({-1.0F, 0.0F, 1.0F}));
    EXPECT_EQ(y.sizes(), x.sizes()) << config.to_json();
    EXPECT_EQ(max_abs(y), 0) << config.to_json();
  }
}

TEST(UNet, IsConditionedOnTheNoiseLevelOnceTrained) {
  for (const auto& config : configs()) {
    UNet network(config);
    network->eval();
    perturb(*network);
    const torch::NoGradGuard no_grad;
    const Tensor x = images_of(config.shape, 1).expand({3, -1, -1, -1}).contiguous();
    const Tensor y = network->forward(x, torch::tensor({-1.0F, -0.9F, 1.0F}));
    EXPECT_TRUE(y.isfinite().all().item<bool>());
    EXPECT_GT(max_abs(y[0] - y[1]), 1e-3 * max_abs(y)) << config.to_json();
    EXPECT_GT(max_abs(y[0] - y[2]), 1e-2 * max_abs(y)) << config.to_json();
  }
}

TEST(UNet, PassesAGradientToEveryParameter) {
  for (const auto& config : configs()) {
    UNet network(config);
    perturb(*network);
    network->forward(images_of(config.shape, 2), torch::tensor({-1.0F, 0.5F})).square().mean().backward();
    for (const auto& item : network->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key() << " of " << config.to_json();
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
      EXPECT_GT(max_abs(item.value().grad()), 0) << item.key() << " of " << config.to_json();
    }
  }
}

// Each of the network's outputs must see each of its inputs, at every resolution: differences, so that no gradient code is trusted.
TEST(UNet, LooksAtAllOfASmallImage) {
  const auto config = old_tiny();
  UNet network(config);
  network->eval();
  perturb(*network);
  const torch::NoGradGuard no_grad;
  const Tensor x = images_of(config.shape, 1).expand({64, -1, -1, -1}).contiguous(), moved = x.clone();
  for (std::int64_t i = 0; i < 64; ++i) moved[i].view(-1)[i] += 1;
  const Tensor level = torch::zeros({64}), difference = (network->forward(moved, level) - network->forward(x, level)).flatten(1);
  EXPECT_GT(difference.abs().sum(1).min().item<double>(), 0);
}

TEST(UNet, HasAStableNumberOfParameters) {
  EXPECT_EQ(count_parameters(*UNet(old_shipped())), 1'838'404);
  EXPECT_EQ(count_parameters(*UNet(old_tiny())), 29'561);
}

TEST(UNet, RefusesImpossibleSizes) {
  const auto build = [](auto change) {
    return [change] {
      UNetConfig config = old_shipped();
      change(config);
      UNet network(config);
    };
  };
  expect_error<InvalidArgument>({"[UNet] expected height and width divisible by 8 for 3 levels, got 1,28,28"}, build([](auto& c) {
                                  c.channel_mult = {1, 2, 2};
                                }));
  expect_error<InvalidArgument>({"divisible by 4", "1,28,30"}, build([](auto& c) { c.shape.width = 30; }));
  expect_error<InvalidArgument>({"[UNet] expected positive channels, blocks, groups and patch"}, build([](auto& c) { c.channels = 0; }));
  expect_error<InvalidArgument>({"positive channels"}, build([](auto& c) { c.blocks = -1; }));
  expect_error<InvalidArgument>({"positive channels"}, build([](auto& c) { c.groups = 0; }));
  expect_error<InvalidArgument>({"positive channels"}, build([](auto& c) { c.patch = 0; }));
  expect_error<InvalidArgument>({"[UNet] expected channel_mult of positive integers"}, build([](auto& c) { c.channel_mult = {}; }));
  expect_error<InvalidArgument>({"channel_mult"}, build([](auto& c) { c.channel_mult = {1, 0}; }));
  expect_error<InvalidArgument>({"[UNet] expected a shape of positive sizes, got 0,28,28"}, build([](auto& c) { c.shape.channels = 0; }));
  expect_error<InvalidArgument>({"attention names level 2, which does not exist"}, build([](auto& c) { c.attention = {2}; }));
}

TEST(UNetConfig, SurvivesATripThroughJson) {
  for (const auto& config : configs()) {
    const auto back = UNetConfig::from_json(config.to_json());
    EXPECT_EQ(back.shape, config.shape);
    EXPECT_EQ(back.channels, config.channels);
    EXPECT_EQ(back.channel_mult, config.channel_mult);
    EXPECT_EQ(back.blocks, config.blocks);
    EXPECT_EQ(back.attention, config.attention);
    EXPECT_EQ(back.groups, config.groups);
    EXPECT_EQ(back.patch, config.patch);
    EXPECT_EQ(back.to_json(), config.to_json());
  }
}

TEST(UNetConfig, RefusesJsonThatIsNone) {
  const std::string expected = "[UNetConfig::from_json] expected a U-Net's configuration";
  for (const char* text : {"", "{", "[]", "3", R"({"type": "unet"})", R"({"shape": 3})", R"({"shape": [1, 28]})"})
    expect_error<InvalidArgument>({expected}, [&] { UNetConfig::from_json(text); });
  std::string typed = old_shipped().to_json();
  typed.replace(typed.find("\"channels\":64"), 13, "\"channels\":\"x\"");
  expect_error<InvalidArgument>({expected}, [&] { UNetConfig::from_json(typed); });
}

}  // namespace
}  // namespace headstart
