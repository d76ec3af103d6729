#include "headstart/metrics/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <fstream>

#include "../support/gaussians.h"
#include "../support/temp_dir.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/metrics/frechet.h"
#include "headstart/nets/unet_file.h"

namespace headstart {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using torch::Tensor;

const ImageShape kGrey{1, 6, 4}, kColour{3, 6, 4};

/// 8-bit pixels in data units.
Tensor pictures(std::int64_t count, const ImageShape& shape, std::uint64_t seed = 1) {
  const Tensor pixels = (random_normal({count, shape.channels, shape.height, shape.width}, seed) * 40 + 128).clamp(0, 255).floor();
  return pixels.to(torch::kFloat32) / 127.5F - 1;
}

TEST(Pixels, AreTheImagesFlattened) {
  const auto space = open_features("pixels", {1, 2, 3});
  EXPECT_EQ(space->name(), "pixels");
  EXPECT_EQ(space->sha256(), "");
  const Tensor images = torch::randn({5, 1, 2, 3});
  EXPECT_TRUE(torch::equal(space->extract(images), images.view({5, 6})));
  EXPECT_THAT(message_of<DataError>([] { open_features("no-such-file", {1, 2, 3}); }), HasSubstr("no-such-file"));
}

TEST(ClassifierFeatures, DoNotDependOnTheBatch) {
  const TempDir folder;
  torch::manual_seed(0);
  save_classifier(folder / "c", Classifier(ClassifierConfig{.shape = {1, 8, 8}, .channels = 8, .features = 6, .classes = 4, .groups = 4}),
                  {});
  const auto space = open_features(folder / "c", {1, 8, 8});
  EXPECT_EQ(space->sha256(), sha256_file(folder / "c"));
  const Tensor images = pictures(37, {1, 8, 8}), all = space->extract(images);
  EXPECT_EQ(all.sizes().vec(), (std::vector<std::int64_t>{37, 6}));
  for (const std::int64_t row : {0, 17, 36}) EXPECT_TRUE(torch::equal(space->extract(images.narrow(0, row, 1)), all.narrow(0, row, 1)));
  EXPECT_THAT(message_of<InvalidArgument>([&] {
                open_features(folder / "c", {3, 8, 8});
              }),
              AllOf(HasSubstr(folder / "c"), HasSubstr("1,8,8, got 3,8,8")));
}

class ScriptFeatures : public testing::Test {
 protected:
  /// Saves `def forward(self, x...):` with this body of one line.
  void save(const std::string& body, const std::string& arguments = "x", const std::string& method = "forward") const {
    torch::jit::Module module("net");
    module.define("def " + method + "(self, " + arguments + "):\n    " + body + "\n");
    module.save(path_);
  }
  std::unique_ptr<FeatureSpace> open(const ImageShape& shape = kColour) const { return open_features(path_, shape); }

  TempDir folder_;
  std::string path_ = folder_ / "channel-means.pt";
};

const char* const kMeans = "return x.float().mean([2, 3])";

TEST_F(ScriptFeatures, AreOfRawPixels) {
  save(R"(return torch.cat([x.float().amax([2, 3]), (x.new_zeros([x.size(0), 1]) - 1).float()], 1))");  // 255 where x is uint8
  const Tensor images = torch::tensor({-1.0F, 1.0F}).view({2, 1, 1, 1}).repeat({1, 3, 6, 4});
  const auto space = open();
  EXPECT_EQ(space->name(), "channel-means");
  EXPECT_EQ(space->sha256(), sha256_file(path_));
  EXPECT_TRUE(torch::equal(space->extract(images), torch::tensor({{0.0F, 0.0F, 0.0F, 255.0F}, {255.0F, 255.0F, 255.0F, 255.0F}})));
}

TEST_F(ScriptFeatures, SeeEveryPixelValueAsItWas) {
  save("return x.float().flatten(1)");
  const Tensor pixels = torch::arange(256).to(torch::kFloat32).view({256, 1, 1, 1}).repeat({1, 3, 1, 1});
  const auto space = open({3, 1, 1});
  EXPECT_TRUE(torch::equal(space->extract(pixels / 127.5F - 1), pixels.flatten(1)));
  EXPECT_TRUE(torch::equal(space->extract((pixels.to(torch::kFloat64) / 127.5 - 1).to(torch::kFloat32)), pixels.flatten(1)));
}

TEST_F(ScriptFeatures, HaveTheDistanceThatPaperGives) {
  // Channel means of the same pictures, 10 grey levels brighter and in one channel 2 darker: 100 + 100 + 4, and equal covariances.
  save(kMeans);
  const auto space = open();
  const Tensor images = pictures(50, kColour).clamp(-0.8, 0.8).mul(127.5).round().div(127.5);
  const Tensor dark = (images * 127.5 + 127.5).floor(), shift = torch::tensor({10.0F, 10.0F, -2.0F}).view({1, 3, 1, 1});
  const auto of = [&](const Tensor& pixels) { return feature_moments(space->extract(pixels / 127.5F - 1)); };
  EXPECT_NEAR(frechet_distance(of(dark + shift), of(dark)).value, 204, 1e-3);
}

TEST_F(ScriptFeatures, OfGreyImagesSeeThreeEqualChannels) {
  save(kMeans);
  const Tensor images = pictures(20, kGrey), features = open(kGrey)->extract(images);
  EXPECT_EQ(features.sizes().vec(), (std::vector<std::int64_t>{20, 3}));
  EXPECT_TRUE(torch::allclose(features, ((images + 1) * 127.5).mean({2, 3}).expand({20, 3}), 1e-5, 1e-3));
}

TEST_F(ScriptFeatures, DoNotDependOnTheBatch) {
  save("return x.float() .flatten(1).matmul(torch.ones([72, 40]) / 7.) .sin()");
  const auto space = open();
  const Tensor images = pictures(37, kColour), all = space->extract(images);
  for (const std::int64_t row : {0, 17, 36}) EXPECT_TRUE(torch::equal(space->extract(images.narrow(0, row, 1)), all.narrow(0, row, 1)));
}

TEST_F(ScriptFeatures, AskForFeaturesWhereTheNetworkCanReturnSomethingElse) {
  // NVIDIA's file of FID's network returns class probabilities unless told otherwise.
  save("return x.float().mean([2, 3]) if return_features else x.float().flatten(1)", "x, return_features: bool = False");
  EXPECT_EQ(open()->extract(pictures(2, kColour)).size(1), 3);
}

TEST_F(ScriptFeatures, RefuseWhatIsNoPixel) {
  save(kMeans);
  const auto space = open();
  const Tensor images = pictures(5, kColour);
  images[3][1][2][2] = 0.5;  // between two pixels
  EXPECT_THAT(message_of<InvalidArgument>([&] { space->extract(images); }),
              AllOf(HasSubstr(path_ + ": expected 8-bit images"), HasSubstr("0.5")));
  images[3][1][2][2] = 1.5;  // beyond white
  EXPECT_THAT(message_of<InvalidArgument>([&] { space->extract(images); }), HasSubstr("such as 1.5"));
}

TEST_F(ScriptFeatures, RefuseNetworksThatReturnSomethingElseOrFail) {
  const auto message = [&](const std::string& body) {
    save(body);
    const std::string text = message_of<DataError>([&] { open()->extract(pictures(2, kColour)); });
    EXPECT_THAT(text, HasSubstr(path_));
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  };
  EXPECT_THAT(message("return x.float()"), HasSubstr("expected features [16, F] of floats, got Float [16, 3, 6, 4]"));
  EXPECT_THAT(message("return x.flatten(1)"), HasSubstr("got Byte [16, 72]"));
  EXPECT_THAT(message("return x.float().mean([2, 3])[:4]"), HasSubstr("got Float [4, 3]"));
  EXPECT_THAT(message("return (x.float(), x.float())"), HasSubstr("expected features [16, F], got a Tuple"));
  EXPECT_THAT(message("return x.float().matmul(torch.zeros([5, 5]))"), HasSubstr("failed on uint8 [16, 3, 6, 4]: "));
}

TEST_F(ScriptFeatures, RefuseFilesThatAreNoNetworks) {
  std::ofstream(path_) << "PK and no zip";
  EXPECT_THAT(message_of<DataError>([&] { open(); }), AllOf(HasSubstr(path_), HasSubstr("expected a TorchScript file")));
  save(kMeans, "x", "apply");
  EXPECT_THAT(message_of<DataError>([&] { open(); }), AllOf(HasSubstr(path_), HasSubstr("method forward")));
}

}  // namespace
}  // namespace headstart
