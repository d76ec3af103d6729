#include "headstart/nets/train.h"

#include "headstart/core/tensor_file.h"
#include "headstart/nets/unet_file.h"
#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

/// Images of one random brightness each: a network that knows it can denoise them nearly to nothing.
Tensor flat_images(std::int64_t count = 64) {
  torch::manual_seed(5);
  return (torch::rand({count, 1, 1, 1}) - 0.5).expand({count, 1, 8, 8}).contiguous();
}

SongUNet fresh_unet() {
  torch::manual_seed(11);
  return SongUNet(tiny_unet());
}

struct Trained {
  Tensor weights;
  TrainResult result;
};

constexpr double kSigmaData = 0.3;

Trained run(const TrainOptions& options, const std::string& identity = "run A") {
  SongUNet network = fresh_unet();
  const auto result = train(*network, edm_loss(network, flat_images(), kSigmaData, {}, options.seed), options, identity);
  return {weights_of(*network), result};
}

TrainOptions short_run() { return {.images = 160, .batch = 32, .shard = 8, .adam = {.learning_rate = 5e-3}, .warmup_images = 64}; }

TEST(Train, LowersTheLoss) {
  TrainOptions options = short_run();
  options.images = 3200;
  options.warmup_images = 320;
  const auto [weights, result] = run(options);
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.images, 3200);
  EXPECT_GT(result.seconds, 0);
  const auto& curve = result.loss_curve;
  ASSERT_GE(curve.size(), 20U);
  EXPECT_EQ(curve.back().first, 3200);
  const auto mean = [&](std::size_t begin, std::size_t end) {
    double total = 0;
    for (std::size_t i = begin; i < end; ++i) total += curve[i].second;
    return total / static_cast<double>(end - begin);
  };
  EXPECT_NEAR(mean(0, 3), 1, 0.5);  // the target has unit variance and the network starts at zero
  EXPECT_LT(mean(curve.size() - 10, curve.size()), 0.6 * mean(0, 3));
}

TEST(Train, LeavesTheAveragedWeightsInAnEvaluatingModule) {
  SongUNet network = fresh_unet();
  TrainOptions options = short_run();
  options.ema_fraction = 1e9;  // so slow an average that it never leaves the start
  const Tensor start = weights_of(*network);
  train(*network, edm_loss(network, flat_images(), kSigmaData, {}, 0), options, "x");
  EXPECT_LT(max_abs(weights_of(*network) - start), 1e-6);
  EXPECT_FALSE(network->is_training());
}

TEST(Train, GivesTheSameBitsForOneAndTwoThreads) {
  Trained one, two;
  {
    const WithThreads restore(1);
    one = run(short_run());
  }
  {
    const WithThreads restore(2);
    two = run(short_run());
  }
  EXPECT_TRUE(torch::equal(one.weights, two.weights));
  EXPECT_EQ(one.result.loss_curve, two.result.loss_curve);
  EXPECT_GT(max_abs(one.weights - weights_of(*fresh_unet())), 1e-3);
}

TEST(Train, DependsOnTheSeed) {
  TrainOptions other = short_run();
  other.seed = 1;
  EXPECT_FALSE(torch::equal(run(short_run()).weights, run(other).weights));
}

TEST(Train, ContinuesAnInterruptedRunBitForBit) {
  const TempDir folder;
  const Trained whole = run(short_run());
  for (const std::int64_t stop : {32, 96}) {
    TrainOptions options = short_run();
    options.checkpoint = folder / ("checkpoint" + std::to_string(stop));
    options.on_progress = [&](const TrainProgress& p) { return p.images < stop; };
    const Trained stopped = run(options);
    EXPECT_FALSE(stopped.result.finished);
    EXPECT_EQ(stopped.result.images, stop);
    ASSERT_TRUE(std::filesystem::exists(options.checkpoint));
    options.on_progress = {};
    const Trained resumed = run(options);
    EXPECT_TRUE(resumed.result.finished);
    EXPECT_TRUE(torch::equal(resumed.weights, whole.weights)) << "stopped after " << stop;
    EXPECT_EQ(resumed.result.loss_curve, whole.result.loss_curve);
    EXPECT_GE(resumed.result.seconds, stopped.result.seconds);
    EXPECT_TRUE(torch::equal(run(options).weights, whole.weights)) << "a finished run is only loaded";
  }
}

TEST(Train, SavesCheckpointsOnTheWay) {
  const TempDir folder;
  TrainOptions options = short_run();
  options.checkpoint = folder / "checkpoint";
  options.checkpoint_images = 64;
  std::vector<bool> there;
  options.on_progress = [&](const TrainProgress&) { return there.push_back(std::filesystem::exists(options.checkpoint)), true; };
  run(options);
  EXPECT_EQ(there, (std::vector<bool>{false, false, true, true, true}));
}

TEST(Train, SpreadsItsMarksLogarithmically) {
  EXPECT_EQ(logarithmic_marks(128'000, 8), (std::vector<std::int64_t>{1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000}));
  EXPECT_EQ(logarithmic_marks(1000, 1), (std::vector<std::int64_t>{1000}));
  EXPECT_TRUE(logarithmic_marks(1000, 0).empty());
  EXPECT_EQ(logarithmic_marks(2, 50), (std::vector<std::int64_t>{1, 2}));  // each once
}

// The network that is kept after so many images is the averaged one, and keeping it changes nothing else.
TEST(Train, HandsOutTheAveragedWeightsOnTheWay) {
  TrainOptions options = short_run();
  const Trained whole = run(options);
  SongUNet network = fresh_unet();
  std::vector<std::int64_t> images;
  std::vector<Tensor> kept;
  options.keep = {1, 70, 160};
  options.on_keep = [&](std::int64_t seen, std::int64_t) {
    images.push_back(seen);
    kept.push_back(weights_of(*network));
  };
  train(*network, edm_loss(network, flat_images(), kSigmaData, {}, options.seed), options, "run A");
  EXPECT_EQ(images, (std::vector<std::int64_t>{32, 96, 160}));  // the first step at or after each mark
  EXPECT_TRUE(torch::equal(kept.back(), whole.weights));
  EXPECT_TRUE(torch::equal(weights_of(*network), whole.weights));
  EXPECT_FALSE(torch::equal(kept[0], kept[1]));
}

TEST(Train, ReportsItsProgress) {
  TrainOptions options = short_run();
  options.images = 100;  // the last batch is a short one, and its last shard shorter still
  std::vector<std::int64_t> images;
  options.on_progress = [&](const TrainProgress& p) {
    images.push_back(p.images);
    EXPECT_EQ(p.total, 100);
    EXPECT_GT(p.loss, 0);
    EXPECT_GT(p.images_per_second, 0);
    EXPECT_GE(p.seconds_left, 0);
    return true;
  };
  EXPECT_EQ(run(options).result.images, 100);
  EXPECT_EQ(images, (std::vector<std::int64_t>{32, 64, 96, 100}));
}

TEST(Train, RefusesTheCheckpointOfAnotherRun) {
  const TempDir folder;
  TrainOptions options = short_run();
  options.images = 32;
  options.checkpoint = folder / "checkpoint";
  run(options, "run A");
  expect_error<DataError>({options.checkpoint, "expected a checkpoint of this run (run B), got one of run A"},
                          [&] { run(options, "run B"); });
}

TEST(Train, RefusesACheckpointThatIsUnreadable) {
  const TempDir folder;
  TrainOptions options = short_run();
  options.checkpoint = folder / "checkpoint";
  options.images = 32;
  run(options);
  const std::string good = read_text(options.checkpoint);
  for (const std::string& bad :
       {std::string(), std::string("no checkpoint"), good.substr(0, good.size() / 2), good.substr(0, good.size() - 1)}) {
    write_text(options.checkpoint, bad);
    expect_data_error(options.checkpoint, "", [&] { run(options); });
  }
  const auto weights = torch::zeros({1});
  write_tensors(options.checkpoint, {{"parameters", weights}}, {{"format", "headstart-checkpoint"}});
  expect_data_error(options.checkpoint, "identity", [&] { run(options); });
  write_tensors(options.checkpoint, {{"parameters", weights}}, {{"identity", "run A"}, {"progress", "{\"images\": "}});
  expect_data_error(options.checkpoint, "progress", [&] { run(options); });
  write_tensors(options.checkpoint, {{"parameters", weights}}, {{"identity", "run A"}, {"progress", "{\"images\": 3}"}});
  expect_data_error(options.checkpoint, "", [&] { run(options); });
}

TEST(Train, RefusesOptionsThatMakeNoSense) {
  for (auto member : {&TrainOptions::images, &TrainOptions::batch, &TrainOptions::shard}) {
    TrainOptions options = short_run();
    options.*member = 0;
    expect_error<InvalidArgument>({"[train] expected positive images, batch and shard"}, [&] { run(options); });
  }
}

TEST(Train, StopsWhereTheLossIsNotFinite) {
  SongUNet network = fresh_unet();
  const ShardLoss loss = [&](std::int64_t, std::int64_t count) {
    return network->forward(torch::zeros({count, 1, 8, 8}), torch::zeros({count})).sum() * std::nan("");
  };
  expect_error<NumericalError>({"[train] the gradient is not finite"}, [&] { train(*network, loss, short_run(), "x"); });
}

TEST(ShuffledOrder, VisitsEveryImageOnceAnEpoch) {
  ShuffledOrder order(37, 4);
  std::vector<Tensor> epochs;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    epochs.push_back(order.indices(37 * epoch, 37));
    EXPECT_TRUE(torch::equal(std::get<0>(epochs.back().sort()), torch::arange(37)));
  }
  EXPECT_FALSE(torch::equal(epochs[0], epochs[1]));
  EXPECT_FALSE(torch::equal(epochs[1], epochs[2]));
  EXPECT_FALSE(torch::equal(epochs[0], torch::arange(37)));
}

TEST(ShuffledOrder, DependsOnTheSeedAndOnThePlaceInTheStreamOnly) {
  ShuffledOrder order(37, 4), same(37, 4), other(37, 5);
  const Tensor stream = order.indices(0, 120);
  EXPECT_TRUE(torch::equal(same.indices(100, 20), stream.narrow(0, 100, 20)));
  EXPECT_TRUE(torch::equal(same.indices(30, 50), stream.narrow(0, 30, 50)));  // across two epochs' ends, and backwards
  EXPECT_FALSE(torch::equal(other.indices(0, 37), stream.narrow(0, 0, 37)));
}

TEST(EdmLoss, DependsOnSeedAndPlaceOnly) {
  SongUNet network = fresh_unet();
  perturb(*network);
  const Tensor images = flat_images();
  const auto loss = edm_loss(network, images, kSigmaData, {}, 7), same = edm_loss(network, images, kSigmaData, {}, 7),
             other = edm_loss(network, images, kSigmaData, {}, 8);
  const double first = loss(0, 8).item<double>(), second = loss(8, 8).item<double>();
  torch::manual_seed(999);  // the global generator must not matter
  EXPECT_EQ(same(8, 8).item<double>(), second);
  EXPECT_EQ(same(0, 8).item<double>(), first);
  EXPECT_NE(first, second);
  EXPECT_NE(loss(64, 8).item<double>(), first);  // another epoch
  EXPECT_NE(other(0, 8).item<double>(), first);
}

// With F = 0 the loss is the mean square of the target, which preconditioning scales to 1 on Gaussian data at every sigma.
// The mean of 64 000 squares of unit normals is 5 standard errors (0.028) off once in 1.7e6 seeds; the seed is fixed.
TEST(EdmLoss, IsOneForAZeroNetworkOnGaussianData) {
  SongUNet network = fresh_unet();
  torch::manual_seed(6);
  const Tensor images = kSigmaData * torch::randn({1000, 1, 8, 8});
  const torch::NoGradGuard no_grad;
  EXPECT_NEAR(edm_loss(network, images, kSigmaData, {}, 0)(0, 1000).item<double>(), 1, 5 * std::sqrt(2.0 / 64000));
}

TEST(ClassifierLoss, DependsOnSeedAndPlaceOnlyAndFallsInTraining) {
  torch::manual_seed(2);
  Classifier network(ClassifierConfig{.shape = {1, 8, 8}, .channels = 8, .features = 8, .classes = 2, .groups = 4});
  const Tensor labels = torch::arange(64).remainder(2);
  const Tensor images = (labels.to(torch::kFloat32) - 0.5).view({64, 1, 1, 1}) + 0.1 * torch::randn({64, 1, 8, 8});
  const auto loss = classifier_loss(network, images, labels, 1, 3);
  const double before = loss(0, 16).item<double>();
  EXPECT_EQ(classifier_loss(network, images, labels, 1, 3)(0, 16).item<double>(), before);
  EXPECT_NE(classifier_loss(network, images, labels, 1, 4)(0, 16).item<double>(), before);
  EXPECT_NEAR(before, std::log(2.0), 0.5);
  train(*network, loss, {.images = 640, .batch = 32, .shard = 16, .adam = {.learning_rate = 1e-2}, .warmup_images = 64}, "c");
  EXPECT_LT(loss(0, 64).item<double>(), 0.2);
}

}  // namespace
}  // namespace headstart
