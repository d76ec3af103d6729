#include "headstart/nets/train.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>

#include "headstart/core/parallel.h"
#include "headstart/core/tensor_file.h"
#include "headstart/data/safetensors.h"
#include "headstart/error.h"
#include "headstart/nets/precondition.h"

namespace headstart {
namespace {

using torch::Tensor;

/// Independent generators from (seed, stream, counter): splitmix64 of their mixture.
at::Generator generator_for(std::int64_t seed, std::uint64_t stream, std::int64_t counter) {
  std::uint64_t z =
      static_cast<std::uint64_t>(seed) * 0x9E3779B97F4A7C15ULL + stream * 0xD1B54A32D192ED03ULL + static_cast<std::uint64_t>(counter);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return at::detail::createCPUGenerator(z ^ (z >> 31));
}

constexpr std::uint64_t kOrderStream = 1, kNoiseStream = 2, kAugmentStream = 3;

double learning_rate_factor(const TrainOptions& options, std::int64_t images) {
  const double seen = static_cast<double>(images);
  const double warmup = std::min(1.0, seen / static_cast<double>(std::max<std::int64_t>(options.warmup_images, 1)));
  const double decay = 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, seen / static_cast<double>(options.images))));
  return warmup * decay;
}

struct Session {
  FlatAdam adam;
  TrainResult result;
  double window_loss = 0;  // since the loss curve's last point
  std::int64_t window_steps = 0;
};

void save(const Session& session, const std::string& path, const std::string& identity) {
  NamedTensors tensors = session.adam.state();
  const nlohmann::json progress{{"images", session.result.images},    {"steps", session.adam.steps()},
                                {"seconds", session.result.seconds},  {"loss_curve", session.result.loss_curve},
                                {"window_loss", session.window_loss}, {"window_steps", session.window_steps}};
  write_tensors(path, tensors, {{"format", "headstart-checkpoint"}, {"identity", identity}, {"progress", progress.dump()}});
}

void resume(Session& session, const std::string& path, const std::string& identity) {
  const SafetensorsFile file(path);
  if (file.metadata("identity") != identity)
    throw DataError(path, "expected a checkpoint of this run (" + identity + "), got one of " + file.metadata("identity"));
  try {
    const auto progress = nlohmann::json::parse(file.metadata("progress"));
    session.adam.load_state(to_tensor(file.get("parameters")), to_tensor(file.get("ema")), to_tensor(file.get("adam_first")),
                            to_tensor(file.get("adam_second")), progress.at("steps"));
    session.result.images = progress.at("images");
    session.result.seconds = progress.at("seconds");
    session.result.loss_curve = progress.at("loss_curve");
    session.window_loss = progress.at("window_loss");
    session.window_steps = progress.at("window_steps");
  } catch (const nlohmann::json::exception& e) {
    throw DataError(path, std::string("expected a checkpoint's progress: ") + e.what());
  } catch (const InvalidArgument& e) {
    throw DataError(path, e.what());
  }
}

}  // namespace

Tensor ShuffledOrder::epoch_order(std::int64_t epoch) const {
  return torch::randperm(count_, generator_for(seed_, kOrderStream, epoch), torch::kInt64);
}

Tensor ShuffledOrder::indices(std::int64_t first, std::int64_t count) const {
  std::vector<Tensor> pieces;
  while (count > 0) {
    const std::int64_t offset = first % count_, here = std::min(count, count_ - offset);
    pieces.push_back(epoch_order(first / count_).narrow(0, offset, here));
    first += here;
    count -= here;
  }
  return torch::cat(pieces);
}

std::vector<std::int64_t> logarithmic_marks(std::int64_t images, std::int64_t count) {
  std::vector<std::int64_t> marks;
  for (std::int64_t i = 0; i < count; ++i) {
    const double power = count == 1 ? 1.0 : static_cast<double>(i) / static_cast<double>(count - 1);
    const auto mark = std::llround(static_cast<double>(images) * std::exp2(7 * (power - 1)));
    if (mark > 0 && (marks.empty() || mark > marks.back())) marks.push_back(mark);
  }
  return marks;
}

TrainResult train(torch::nn::Module& module, const ShardLoss& loss, const TrainOptions& options, const std::string& identity) {
  if (options.images < 1 || options.batch < 1 || options.shard < 1)
    throw InvalidArgument("[train] expected positive images, batch and shard");
  module.train();
  Session session{.adam = FlatAdam(module, options.adam), .result = {}};
  TrainResult& result = session.result;
  if (!options.checkpoint.empty() && std::filesystem::exists(options.checkpoint)) resume(session, options.checkpoint, identity);

  const std::int64_t curve_images = std::max<std::int64_t>(options.images / 100, options.batch);
  const auto start = std::chrono::steady_clock::now();
  const double seconds_before = result.seconds;
  const std::int64_t images_before = result.images;
  std::int64_t last_saved = result.images;
  double running = std::nan("");
  bool go_on = true;
  while (go_on && result.images < options.images) {
    const std::int64_t batch = std::min(options.batch, options.images - result.images);
    const std::int64_t shards = (batch + options.shard - 1) / options.shard;
    std::vector<Tensor> gradients(shards);
    std::vector<double> losses(shards);
    parallel_shards(shards, [&](std::int64_t i) {
      const std::int64_t first = i * options.shard, count = std::min(options.shard, batch - first);
      const Tensor value = loss(result.images + first, count) * (static_cast<double>(count) / static_cast<double>(batch));
      gradients[i] = session.adam.gradient(value);
      losses[i] = value.item<double>();
    });
    for (std::int64_t i = 1; i < shards; ++i) gradients[0].add_(gradients[i]);  // in this order whoever finished first
    result.images += batch;
    const double half_life = std::max(options.ema_fraction * static_cast<double>(result.images), 1.0);
    session.adam.step(gradients[0], learning_rate_factor(options, result.images), std::exp2(-static_cast<double>(batch) / half_life));

    double step_loss = 0;
    for (const double value : losses) step_loss += value;
    running = std::isnan(running) ? step_loss : 0.98 * running + 0.02 * step_loss;
    session.window_loss += step_loss;
    ++session.window_steps;
    if (result.images / curve_images != (result.images - batch) / curve_images || result.images == options.images) {
      result.loss_curve.emplace_back(result.images, session.window_loss / static_cast<double>(session.window_steps));
      session.window_loss = 0;
      session.window_steps = 0;
    }
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.seconds = seconds_before + elapsed;
    const double rate = static_cast<double>(result.images - images_before) / elapsed;
    if (options.on_progress)
      go_on = options.on_progress({.images = result.images,
                                   .total = options.images,
                                   .loss = running,
                                   .images_per_second = rate,
                                   .seconds_left = static_cast<double>(options.images - result.images) / rate});
    for (const std::int64_t mark : options.keep) {
      if (!options.on_keep || mark <= result.images - batch || mark > result.images) continue;
      session.adam.swap_ema();
      options.on_keep(result.images, mark);
      session.adam.swap_ema();
    }
    const bool last = !go_on || result.images == options.images;
    if (!options.checkpoint.empty() && (last || result.images - last_saved >= options.checkpoint_images)) {
      save(session, options.checkpoint, identity);
      last_saved = result.images;
    }
  }
  result.finished = result.images >= options.images;
  session.adam.swap_ema();
  module.eval();
  return result;
}

ShardLoss edm_loss(SongUNet network, Tensor images, double sigma_data, const NoiseDistribution& noise, std::int64_t seed) {
  return [=](std::int64_t first, std::int64_t count) mutable {
    const ShuffledOrder order(images.size(0), seed);
    const Tensor x0 = images.index_select(0, order.indices(first, count));
    const auto generator = generator_for(seed, kNoiseStream, first);
    const Tensor normal = noise.P_mean + noise.P_std * torch::randn({count}, generator);
    const Tensor uniform = std::log(noise.sigma_min) + std::log(noise.sigma_max / noise.sigma_min) * torch::rand({count}, generator);
    const Tensor pick = torch::rand({count}, generator) < noise.uniform_fraction;
    const Tensor sigma = torch::where(pick, uniform, normal).exp().view({-1, 1, 1, 1});
    const Tensor x = x0 + sigma * torch::randn(x0.sizes(), generator);
    const auto c = edm_preconditioning(sigma, sigma_data);
    const Tensor target = (x0 - c.c_skip * x) / c.c_out;
    return (network->forward(c.c_in * x, c.c_noise.flatten()) - target).square().mean();
  };
}

ShardLoss classifier_loss(Classifier network, Tensor images, Tensor labels, std::int64_t shift, std::int64_t seed) {
  return [=](std::int64_t first, std::int64_t count) mutable {
    const ShuffledOrder order(images.size(0), seed);
    const Tensor index = order.indices(first, count);
    Tensor x = images.index_select(0, index);
    const auto generator = generator_for(seed, kAugmentStream, first);
    const Tensor offsets = torch::randint(0, 2 * shift + 1, {count, 2}, generator, torch::kInt64);
    const Tensor mirror = torch::rand({count}, generator) < 0.5;
    const Tensor padded = torch::constant_pad_nd(x, {shift, shift, shift, shift}, -1);
    std::vector<Tensor> moved;
    for (std::int64_t i = 0; i < count; ++i) {
      const Tensor crop =
          padded[i].narrow(1, offsets[i][0].item<std::int64_t>(), x.size(2)).narrow(2, offsets[i][1].item<std::int64_t>(), x.size(3));
      moved.push_back(mirror[i].item<bool>() ? crop.flip({2}) : crop);
    }
    return torch::nn::functional::cross_entropy(network->forward(torch::stack(moved)), labels.index_select(0, index));
  };
}

}  // namespace headstart
