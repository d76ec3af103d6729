#include "headstart/nets/network.h"

#include <map>

#include "headstart/core/tensor_file.h"
#include "headstart/data/safetensors.h"
#include "headstart/data/sha256.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/nets/precondition.h"
#include "headstart/nets/unet_file.h"
#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

/// A file with a network whose output is not zero, and the network.
SongUNet save_perturbed(const std::string& path, const SongUNetConfig& config, const UNetFileInfo& info = {}) {
  torch::manual_seed(1);
  SongUNet network(config);
  perturb(*network, 2, 0.05);
  network->eval();
  save_unet(path, network, info);
  return network;
}

Tensor points(const Network& network, std::int64_t rows, torch::ScalarType type = torch::kFloat32) {
  torch::manual_seed(9);
  return torch::randn({rows, network.dim()}).to(type) * levels_of_rows(rows).to(type).unsqueeze(1);
}

TEST(UNetFile, ReturnsTheNetworkThatWasSaved) {
  const TempDir folder;
  const std::string path = folder / "net.safetensors";
  SongUNet saved = save_perturbed(
      path, tiny_unet(),
      {.sigma_data = 0.25, .sigma_min = 0.01, .sigma_max = 50, .range_low = 0, .range_high = 1, .training = {{"seed", "7"}}});
  const auto network = load_network(path);
  const auto& info = network->info();
  EXPECT_EQ(info.path, path);
  EXPECT_EQ(info.kind, "unet");
  EXPECT_EQ(info.prediction, "edm");
  EXPECT_EQ(info.shape, (ImageShape{1, 8, 8}));
  EXPECT_EQ(info.range_low, 0);
  EXPECT_EQ(info.range_high, 1);
  EXPECT_EQ(info.sigma_min, 0.01);
  EXPECT_EQ(info.sigma_max, 50);
  EXPECT_EQ(info.parameters, count_parameters(*saved));
  EXPECT_EQ(info.sha256, sha256_file(path));
  EXPECT_EQ(network->dim(), 64);
  EXPECT_EQ(SafetensorsFile(path).metadata("train_seed"), "7");

  const torch::NoGradGuard no_grad;
  const Tensor x = points(*network, kMicroBatch), sigma = levels_of_rows(kMicroBatch);
  const auto c = edm_preconditioning(sigma.view({-1, 1, 1, 1}), 0.25);
  const Tensor images = x.view({-1, 1, 8, 8});
  const Tensor expected = (c.c_skip * images + c.c_out * saved->forward(c.c_in * images, c.c_noise.flatten())).flatten(1);
  EXPECT_LT(max_abs(network->denoise(x, sigma) - expected), 1e-6 * max_abs(expected));
}

// As a converted file of EDM's has them: half precision, and every name behind "model.".
TEST(UNetFile, TakesEdmsNamesAndHalfPrecision) {
  const TempDir folder;
  SongUNet saved = save_perturbed(folder / "net", tiny_unet());
  const SafetensorsFile file(folder / "net");
  NamedTensors converted;
  for (const auto& name : file.names()) converted.emplace_back("model." + name, to_tensor(file.get(name)).to(torch::kFloat16));
  write_tensors(folder / "edm", converted, file.metadata());
  const auto network = load_network(folder / "net"), edm = load_network(folder / "edm");
  const Tensor x = points(*network, kMicroBatch), truth = network->denoise(x, 1.0);
  const double error = max_abs(edm->denoise(x, 1.0) - truth);
  EXPECT_LT(error, 0.01 * max_abs(truth));
  EXPECT_GT(error, 0) << "the weights were not rounded";
}

TEST(UNetFile, IsRefusedForItsClasses) {
  const TempDir folder;
  SongUNetConfig config = tiny_unet();
  config.label_dim = 3;
  save_perturbed(folder / "net", config);
  const auto network = load_network(folder / "net");
  EXPECT_EQ(network->info().classes, 3);
  expect_error<InvalidArgument>({"expected a network without classes, got one with 3"}, [&] {
    network->denoise(torch::zeros({1, 64}), 1.0);
  });
}

TEST(UNetFile, KeepsNumbersExactly) {
  const TempDir folder;
  const double odd = 0.1 + 0.2;
  save_perturbed(folder / "net", tiny_unet(), {.sigma_data = odd, .sigma_min = 1.0 / 3.0, .sigma_max = 80.000000001});
  EXPECT_EQ(load_unet(folder / "net")->info().sigma_min, 1.0 / 3.0);
  EXPECT_EQ(load_unet(folder / "net")->info().sigma_max, 80.000000001);
  EXPECT_EQ(std::stod(SafetensorsFile(folder / "net").metadata("sigma_data")), odd);
}

TEST(Network, ReturnsTheDtypeOfItsInputAndNoGradient) {
  const TempDir folder;
  save_perturbed(folder / "net", tiny_unet());
  const auto network = load_network(folder / "net");
  const Tensor x = points(*network, 3).requires_grad_();
  const Tensor single = network->denoise(x, 0.5), twice = network->denoise(x.to(torch::kFloat64), 0.5);
  EXPECT_EQ(single.scalar_type(), torch::kFloat32);
  EXPECT_EQ(twice.scalar_type(), torch::kFloat64);
  EXPECT_FALSE(single.requires_grad());
  EXPECT_TRUE(torch::equal(twice, single.to(torch::kFloat64)));
  EXPECT_EQ(network->denoise(x.narrow(0, 0, 0), 0.5).sizes().vec(), (std::vector<std::int64_t>{0, 64}));
}

TEST(Network, RefusesPointsAndLevelsOfOtherShapes) {
  const TempDir folder;
  save_perturbed(folder / "net", tiny_unet());
  const auto network = load_network(folder / "net");
  expect_error<InvalidArgument>({"[denoise] expected x of shape [B, 64], got [3, 65]"}, [&] {
    network->denoise(torch::zeros({3, 65}), 1.0);
  });
  expect_error<InvalidArgument>({"[denoise]", "float32 or float64"}, [&] { network->denoise(torch::zeros({3, 64}, torch::kInt64), 1.0); });
  expect_error<InvalidArgument>({"[denoise] expected sigma to be a scalar or of shape [3], got [2]"}, [&] {
    network->denoise(torch::zeros({3, 64}), torch::ones({2}));
  });
  for (const double bad : {0.0, -1.0, std::nan(""), 1.0 / 0.0})
    expect_error<InvalidArgument>({"[denoise] expected finite sigma > 0"}, [&] { network->denoise(torch::zeros({3, 64}), bad); });
}

/// "The same pictures for every --batch": each row, alone, in batches of many sizes, at every place of a micro-batch, on one and two
/// threads.
void expect_rows_alone(const Network& network) {
  constexpr std::int64_t kRows = 40;
  const Tensor x = points(network, kRows), sigma = levels_of_rows(kRows);
  const WithThreads restore(1);
  const Tensor truth = network.denoise(x, sigma);
  EXPECT_TRUE(truth.isfinite().all().item<bool>());
  const auto expect_same = [&](const Tensor& got, const Tensor& rows, const std::string& how) {
    const Tensor expected = truth.index_select(0, rows);
    EXPECT_TRUE(torch::equal(got, expected)) << how << ": rows differ by up to " << max_abs(got - expected) << " of " << max_abs(expected);
  };
  const auto expect_batch = [&](const Tensor& rows, const std::string& how) {
    expect_same(network.denoise(x.index_select(0, rows), sigma.index_select(0, rows)), rows, how);
  };
  for (const std::int64_t batch : {1, 3, 16, 17})
    for (const std::int64_t first : {0, 5, 22}) {
      const Tensor rows = torch::arange(first, first + batch);
      expect_batch(rows, std::to_string(batch) + " rows from " + std::to_string(first));
      expect_same(network.denoise(x.narrow(0, first, batch), sigma.narrow(0, first, batch)), rows, "a view of rows");
    }
  expect_batch(torch::arange(kRows).flip(0), "backwards");
  for (const std::int64_t shift : {1, 2, 3, 7}) expect_batch(torch::arange(kRows).roll(shift), "rolled by " + std::to_string(shift));
  // One row at all places of a micro-batch, among copies of another.
  for (std::int64_t place = 0; place < kMicroBatch; ++place) {
    Tensor rows = torch::full({kMicroBatch}, 11);
    rows[place] = 29;
    expect_batch(rows, "at place " + std::to_string(place));
  }
  set_threads(2);
  expect_same(network.denoise(x, sigma), torch::arange(kRows), "two threads");
}

TEST(Network, GivesARowTheSameBitsInEveryBatch) {
  const TempDir folder;
  for (const auto& config :
       {tiny_unet(),
        SongUNetConfig{.shape = {3, 12, 12}, .model_channels = 12, .channel_mult = {1, 2}, .num_blocks = 1, .attn_resolutions = {12}}}) {
    save_perturbed(folder / "net", config);
    expect_rows_alone(*load_network(folder / "net"));
  }
}

TEST(Network, GivesARowTheSameBitsInEveryBatchAtTheShippedSize) {
  const TempDir folder;
  save_perturbed(folder / "net", shipped_unet());
  expect_rows_alone(*load_network(folder / "net"));
}

TEST(Network, ComputesInBfloat16WhereAsked) {
  const TempDir folder;
  save_perturbed(folder / "net", shipped_unet());
  const auto half = load_network(folder / "net", {.compute_type = parse_precision("bf16")}), full = load_network(folder / "net");
  const Tensor x = points(*full, 32), sigma = levels_of_rows(32);
  const Tensor truth = full->denoise(x, sigma), rounded = half->denoise(x, sigma);
  const double error = max_abs(rounded - truth) / max_abs(truth);
  EXPECT_GT(error, 1e-6);
  EXPECT_LT(error, 0.02);
  expect_rows_alone(*half);
  expect_error<InvalidArgument>({"--precision", "fp32, bf16", "got fp16"}, [] { parse_precision("fp16"); });
}

TEST(Network, TakesOneLevelForAllRowsOrOneEach) {
  const TempDir folder;
  save_perturbed(folder / "net", tiny_unet());
  const auto network = load_network(folder / "net");
  const Tensor x = points(*network, 19);
  const Tensor one = network->denoise(x, 2.5);
  EXPECT_TRUE(torch::equal(one, network->denoise(x, torch::full({19}, 2.5))));
  EXPECT_TRUE(torch::equal(one, network->denoise(x, torch::full({1}, 2.5))));
}

class BrokenNetworkFile : public testing::Test {
 protected:
  BrokenNetworkFile() {
    save_perturbed(path_, tiny_unet());
    const SafetensorsFile file(path_);
    metadata_ = file.metadata();
    for (const auto& name : file.names()) tensors_[name] = to_tensor(file.get(name));
    bytes_ = read_text(path_);
  }

  void write() const { write_tensors(path_, {tensors_.begin(), tensors_.end()}, metadata_); }

  void expect_refused(const std::string& part, std::source_location where = std::source_location::current()) const {
    expect_data_error(
        path_, part, [this] { load_network(path_); }, where);
  }

  TempDir folder_;
  std::string path_ = folder_ / "net.safetensors", bytes_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Tensor> tensors_;
};

TEST_F(BrokenNetworkFile, IsFineBeforeItIsBroken) {
  write();
  EXPECT_EQ(read_text(path_), bytes_);
  EXPECT_NO_THROW(load_network(path_));
}

TEST_F(BrokenNetworkFile, IsMissing) {
  expect_data_error(folder_ / "none", "no such file", [&] { load_network(folder_ / "none"); });
  expect_data_error(folder_ / "none", "", [&] { load_unet(folder_ / "none"); });
  expect_data_error(folder_ / "none", "", [&] { load_classifier(folder_ / "none"); });
  const std::string folder = folder_.path().string();
  expect_data_error(folder, "no such file", [&] { load_network(folder); });
}

TEST_F(BrokenNetworkFile, IsEmptyOrText) {
  for (const char* text : {"", "abc", "no network but a text of some length", "PNG or whatever"}) {
    write_text(path_, text);
    expect_refused("");
  }
}

TEST_F(BrokenNetworkFile, IsTruncatedAnywhere) {
  for (const std::size_t length : {5UL, 8UL, 100UL, 2000UL, bytes_.size() / 2, bytes_.size() - 1}) {
    ASSERT_LT(length, bytes_.size());
    write_text(path_, bytes_.substr(0, length));
    expect_refused("");
  }
}

TEST_F(BrokenNetworkFile, IsSafetensorsButNoNetwork) {
  write_tensors(path_, {{"mean", torch::zeros({3})}}, {{"format", "headstart-stats"}});
  expect_refused("expected a network: a safetensors file with metadata arch");
}

TEST_F(BrokenNetworkFile, IsAClassifier) {
  save_classifier(path_, Classifier(ClassifierConfig{.shape = {1, 8, 8}, .channels = 8, .features = 8, .groups = 4}), {});
  expect_refused("expected a U-Net's configuration");
}

TEST_F(BrokenNetworkFile, HasAnArchitectureThatIsNone) {
  metadata_["arch"] = "{";
  write();
  expect_refused("expected a U-Net's configuration");
}

TEST_F(BrokenNetworkFile, HasAnImpossibleArchitecture) {
  SongUNetConfig config = tiny_unet();
  config.shape.width = 7;
  metadata_["arch"] = config.to_json();
  write();
  expect_refused("divisible by 2");
}

TEST_F(BrokenNetworkFile, LacksAWeight) {
  tensors_.erase("map_layer0.weight");
  write();
  expect_refused("map_layer0.weight");
}

TEST_F(BrokenNetworkFile, HasAWeightOfAnotherShape) {
  tensors_["map_layer1.bias"] = torch::zeros({31});
  write();
  expect_refused("expected map_layer1.bias of shape [32], got [31]");
}

TEST_F(BrokenNetworkFile, HasMetadataThatAreNoNumbers) {
  const auto good = metadata_;
  for (const char* key : {"sigma_data", "sigma_min", "sigma_max"}) {
    metadata_ = good;
    metadata_[key] = "high";
    write();
    expect_refused(std::string("expected a number > 0 as metadata ") + key + ", got high");
    metadata_.erase(key);
    write();
    expect_refused(key);
  }
  for (const char* range : {"", "1", "1,-1", "nan,nan", "low,high"}) {
    metadata_ = good;
    metadata_["range"] = range;
    write();
    expect_refused("expected metadata range as low,high, got ");
  }
}

TEST_F(BrokenNetworkFile, IsAskedForADeviceThatDoesNotExist) {
  expect_error<InvalidArgument>({"[parse_device] expected cpu, or cuda[:i] of ", " GPUs, got tpu"},
                                [&] { load_network(path_, {.device = "tpu"}); });
  if (!torch::cuda::is_available())
    expect_error<InvalidArgument>({"of 0 GPUs, got cuda"}, [&] { load_network(path_, {.device = "cuda"}); });
}

}  // namespace
}  // namespace headstart
