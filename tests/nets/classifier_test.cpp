#include "headstart/nets/classifier.h"

#include "headstart/core/tensor_file.h"
#include "headstart/nets/unet_file.h"
#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

ClassifierConfig small_classifier() { return {.shape = {3, 8, 12}, .channels = 8, .features = 6, .classes = 4, .groups = 4}; }

Tensor some_images(std::int64_t batch) {
  torch::manual_seed(0);
  return torch::randn({batch, 3, 8, 12});
}

TEST(Classifier, GivesFeaturesAndLogits) {
  torch::manual_seed(0);
  Classifier network(small_classifier());
  network->named_parameters()["feature_layer.weight"].detach().mul_(10);  // so that features spread well below SiLU's least value
  const Tensor x = some_images(5), features = network->features(x), logits = network->forward(x);
  EXPECT_EQ(features.sizes().vec(), (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(logits.sizes().vec(), (std::vector<std::int64_t>{5, 4}));
  EXPECT_GT(max_abs(logits[0] - logits[1]), 0);
  EXPECT_LT(features.min().item<double>(), -0.28);  // before the SiLU, whose outputs are above that
}

TEST(Classifier, PassesAGradientToEveryParameter) {
  Classifier network(small_classifier());
  network->forward(some_images(4)).square().mean().backward();
  for (const auto& item : network->named_parameters()) EXPECT_GT(max_abs(item.value().grad()), 0) << item.key();
}

TEST(Classifier, ComesBackFromItsFile) {
  const TempDir folder;
  Classifier saved(small_classifier());
  save_classifier(folder / "c", saved, {{"accuracy", "0.9"}});
  Classifier loaded = load_classifier(folder / "c");
  EXPECT_EQ(loaded->config().to_json(), small_classifier().to_json());
  EXPECT_TRUE(torch::equal(weights_of(*loaded), weights_of(*saved)));
  EXPECT_FALSE(loaded->is_training());
  EXPECT_TRUE(torch::equal(loaded->features(some_images(3)), saved->features(some_images(3))));
}

TEST(Classifier, IsNoUNet) {
  const TempDir folder;
  save_unet(folder / "u", SongUNet(tiny_unet()), {});
  expect_data_error(folder / "u", "expected a classifier's configuration", [&] { load_classifier(folder / "u"); });
  write_tensors(folder / "t", {{"t", torch::zeros({1})}}, {});
  expect_data_error(folder / "t", "expected a classifier: a safetensors file with metadata arch", [&] { load_classifier(folder / "t"); });
}

TEST(Classifier, RefusesImpossibleSizes) {
  const auto build = [](auto change) {
    return [change] {
      ClassifierConfig config = small_classifier();
      change(config);
      Classifier network(config);
    };
  };
  expect_error<InvalidArgument>({"[Classifier]", "groups"}, build([](auto& c) { c.groups = 3; }));
  expect_error<InvalidArgument>({"[Classifier]"}, build([](auto& c) { c.groups = 0; }));
  expect_error<InvalidArgument>({"[Classifier]"}, build([](auto& c) { c.classes = 0; }));
  expect_error<InvalidArgument>({"[Classifier]", "4 x 4", "3,3,12"}, build([](auto& c) { c.shape.height = 3; }));
}

TEST(ClassifierConfig, RefusesJsonThatIsNone) {
  for (const char* text : {"", "{", "[]", R"({"shape": [1, 28, 28]})"})
    expect_error<InvalidArgument>({"[ClassifierConfig::from_json] expected a classifier's configuration"},
                                  [&] { ClassifierConfig::from_json(text); });
}

}  // namespace
}  // namespace headstart
