#include "headstart/nets/train.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>

#include "cli.h"
#include "comparison.h"
#include "data_tensors.h"
#include "headstart/core/parallel.h"
#include "headstart/data/atomic_file.h"
#include "headstart/data/sha256.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/moments/moments.h"
#include "headstart/moments/tensor_stream.h"
#include "headstart/nets/unet_file.h"
#include "run_dir.h"
#include "version.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string data, as, out, arch = "unet", test_data;
  SongUNetConfig unet = SongUNetConfig::small({});  // the shape is that of the data
  std::string precision = "fp32";
  ClassifierConfig classifier{};
  NoiseDistribution noise{};
  double sigma_data = 0;  // 0: the data's own rms deviation from their mean
  TrainOptions train{};
  std::int64_t shift = 2, keep = 0, compare_every = 0, compare_samples = 512;
  bool restart = false;
};

/// On one thread: libtorch's sums over whole tensors depend on the number of threads, and every weight on this value.
double rms_deviation(const torch::Tensor& images) {
  double result = 0;
  parallel_shards(1, [&](std::int64_t) {
    const torch::Tensor flat = images.flatten(1);
    result = (flat - flat.mean(0)).square().mean().sqrt().item<double>();
  });
  return result;
}

std::string hash_of(const torch::Tensor& tensor) {
  Sha256 hash;
  hash.update({static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()});
  return hash.hex();
}

void check(const Options& o) {
  const auto require = [](bool fine, const std::string& what) {
    if (!fine) throw InvalidArgument(what);
  };
  require(o.arch == "unet" || o.arch == "classifier", "--arch: expected one of unet, classifier, got " + o.arch);
  parse_precision(o.precision);
  require(o.compare_every >= 0, fmt::format("--compare_every: expected a number >= 0, got {}", o.compare_every));
  require(o.compare_every == 0 || o.arch == "unet", "--compare_every: expected with --arch unet, whose score is compared");
  require(o.compare_samples >= 2, fmt::format("--compare_samples: expected at least 2, got {}", o.compare_samples));
  require(o.keep == 0 || o.arch == "unet", "--keep: expected with --arch unet, whose networks are kept");
  require(o.test_data.empty() || o.arch == "classifier" || o.compare_every > 0,
          "--test_data: expected with --arch classifier or --compare_every, got " + o.test_data);
  require(o.keep >= 0, fmt::format("--keep: expected a number >= 0, got {}", o.keep));
  require(o.shift >= 0, fmt::format("--shift: expected a number of pixels >= 0, got {}", o.shift));
  require(o.noise.P_std >= 0, fmt::format("--P_std: expected a number >= 0, got {}", o.noise.P_std));
  require(o.noise.uniform_fraction >= 0 && o.noise.uniform_fraction <= 1,
          fmt::format("--uniform_fraction: expected a share in [0, 1], got {}", o.noise.uniform_fraction));
  require(o.noise.sigma_min > 0 && o.noise.sigma_min < o.noise.sigma_max,
          fmt::format("--sigma_min: expected 0 < sigma_min < sigma_max, got {} and {}", o.noise.sigma_min, o.noise.sigma_max));
  require(o.train.checkpoint_images > 0, fmt::format("--checkpoint_images: expected a number > 0, got {}", o.train.checkpoint_images));
}

double accuracy(Classifier& network, const torch::Tensor& images, const torch::Tensor& labels) {
  constexpr std::int64_t kBatch = 250;
  const std::int64_t pieces = (images.size(0) + kBatch - 1) / kBatch;
  std::vector<std::int64_t> right(pieces);
  parallel_shards(pieces, [&](std::int64_t i) {
    const torch::NoGradGuard no_grad;
    const std::int64_t count = std::min(kBatch, images.size(0) - i * kBatch);
    const torch::Tensor guess = network->forward(images.narrow(0, i * kBatch, count)).argmax(1);
    right[i] = (guess == labels.narrow(0, i * kBatch, count)).sum().item<std::int64_t>();
  });
  std::int64_t total = 0;
  for (const auto r : right) total += r;
  return static_cast<double>(total) / static_cast<double>(images.size(0));
}

torch::Tensor labels_of(const ImageStream& stream, const std::string& data) {
  if (stream.labels().empty()) throw DataError(data, "expected labels beside the images: a classifier needs them");
  if (const auto least = std::ranges::min(stream.labels()); least < 0)
    throw DataError(data, fmt::format("expected labels >= 0, got {}", least));
  return torch::tensor(stream.labels(), torch::kInt64);
}

/// The rows of a table of `compare`, each with the number of images that its network had seen.
ordered_json rows_of(const std::string& path) {
  const ordered_json json = read_json(path), rows = json.is_object() ? json.value("rows", ordered_json()) : ordered_json();
  if (!rows.is_array() ||
      !std::ranges::all_of(rows, [](const auto& row) { return row.is_object() && row.contains("images") && row["images"].is_number(); }))
    throw DataError(path, "expected the table of an earlier --compare_every");
  return rows;
}

/// What a Gaussian of the training images explains of the network so far, at marks on the way; all rows so far are in OUT.compare.json.
class Watched {
 public:
  /// @param held_out  images for a second set of rows, or nothing
  Watched(const Options& o, const torch::Tensor& images, const ImageShape& shape, ImageStream* held_out)
      : path_(o.out + ".compare.json"), out_(o.out) {
    TensorStream stream(images.flatten(1), {}, shape);
    const GaussianStats gaussian = fit_gaussian(stream);
    stream.rewind();
    std::vector<ComparedPoints> points{{"train", draw_images(stream, o.compare_samples, 0)}};
    if (held_out != nullptr) points.push_back({"held_out", draw_images(*held_out, o.compare_samples, 0)});
    comparison_ = {.points = std::move(points),
                   .networks = {},
                   .models = {{"gaussian", std::make_shared<GaussianDenoiser>(gaussian)}},
                   .sigmas = {0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 80},
                   .shape = shape};
    for (auto& model : simpler_gaussians(gaussian, "gaussian", true, {})) comparison_.models.push_back(std::move(model));
    rows_ = ordered_json::array();
    // Rows of the run that is resumed, if one is.
    if (!o.restart && std::filesystem::exists(o.out + ".checkpoint") && std::filesystem::exists(path_)) earlier_ = rows_of(path_);
  }

  void look(const std::shared_ptr<const Denoiser>& network, std::int64_t seen, double sigma_min, double sigma_max) {
    Comparison now = comparison_;
    std::erase_if(now.sigmas, [&](double sigma) { return sigma < sigma_min || sigma > sigma_max; });
    now.networks = {{out_, network, seen}};
    // A resumed run comes to no mark twice, but one that was stopped before its checkpoint does: the later look replaces the earlier.
    if (rows_.empty())
      for (const auto& row : earlier_)
        if (row.at("images") < seen) rows_.push_back(row);
    for (auto& row : comparison_rows(now)) rows_.push_back(std::move(row));
    ordered_json json;
    json["format"] = "headstart-comparison";
    json["program"] = version();
    json["command"] = command_line();
    json["samples"] = comparison_.points.front().clean.size(0);
    json["rows"] = rows_;
    write_file_atomically(path_, json.dump(1) + "\n");
  }

 private:
  std::string path_, out_;
  Comparison comparison_;
  ordered_json rows_, earlier_ = ordered_json::array();
};

/// N, 2 N, ... up to `images`, which is always the last.
std::vector<std::int64_t> regular_marks(std::int64_t images, std::int64_t every) {
  std::vector<std::int64_t> marks;
  for (std::int64_t seen = every; every > 0 && seen < images; seen += every) marks.push_back(seen);
  if (every > 0) marks.push_back(images);
  return marks;
}

ordered_json train_verb(Options& o, const Cli& cli) {
  check(o);
  require_folder_of(o.out);
  if (cli.device != "cpu") throw InvalidArgument("--device: training runs on the cpu only so far, got " + cli.device);
  const auto stream = open_data(o.data, o.as);
  const torch::Tensor images = read_images(*stream);
  o.unet.shape = o.classifier.shape = stream->shape();
  std::unique_ptr<ImageStream> test;  // opened before the training, so that a wrong name costs nothing
  if (!o.test_data.empty()) test = open_data(o.test_data, o.as);
  if (test && test->shape() != stream->shape())
    throw InvalidArgument(fmt::format("--test_data: expected images of shape {} as in {}, got {}", to_string(stream->shape()), o.data,
                                      to_string(test->shape())));

  if (o.arch == "classifier")
    for (const auto& [of, data] : {std::pair(stream.get(), o.data), {test.get(), o.test_data}})
      if (of != nullptr) labels_of(*of, data);

  o.train.checkpoint = o.out + ".checkpoint";
  std::optional<Progress> progress;  // made at the first step, when a resumed run's count is known
  o.train.on_progress = [&](const TrainProgress& p) {
    if (!progress) progress.emplace(cli, "training", o.train.images, "images", p.images);
    progress->update(p.images, fmt::format("loss {:.4f}", p.loss));
    return !interrupted();
  };

  torch::manual_seed(static_cast<std::uint64_t>(o.train.seed));  // the initial weights
  const std::string settings = fmt::format("data {} x {}, batch {}, shard {}, images {}, lr {}, warmup {}, ema_fraction {}, seed {}",
                                           images.size(0), to_string(stream->shape()), o.train.batch, o.train.shard, o.train.images,
                                           o.train.adam.learning_rate, o.train.warmup_images, o.train.ema_fraction, o.train.seed);
  const std::string identity = settings + ", data_sha256 " + hash_of(images);
  const auto run = [&](torch::nn::Module& module, const ShardLoss& loss, const std::string& what) {
    if (o.restart) std::remove(o.train.checkpoint.c_str());  // only now: everything that can be refused has been
    return train(module, loss, o.train, what + " " + identity);
  };
  TrainResult result;
  ordered_json json;
  const auto common = [&](const torch::nn::Module& module) {
    json["out"] = o.out;
    json["parameters"] = count_parameters(module);
    json["images"] = result.images;
    json["finished"] = result.finished;
    json["seconds"] = result.seconds;
    json["images_per_second"] = static_cast<double>(result.images) / result.seconds;
    json["loss_curve"] = result.loss_curve;
  };
  const auto training = [&] {
    return std::map<std::string, std::string>{{"images", std::to_string(result.images)},
                                              {"seed", std::to_string(o.train.seed)},
                                              {"settings", settings},
                                              {"seconds", fmt::format("{:.0f}", result.seconds)},
                                              {"loss_curve", nlohmann::json(result.loss_curve).dump()}};
  };

  if (o.arch == "unet") {
    SongUNet network(o.unet);
    network->set_compute_type(parse_precision(o.precision));
    const double sigma_data = o.sigma_data > 0 ? o.sigma_data : rms_deviation(images);
    const auto [low, high] = data_range(stream->is_uint8(), images.min().item<double>(), images.max().item<double>());
    const UNetFileInfo info{
        .sigma_data = sigma_data, .sigma_min = o.noise.sigma_min, .sigma_max = o.noise.sigma_max, .range_low = low, .range_high = high};
    const auto kept_at = logarithmic_marks(o.train.images, o.keep), compared_at = regular_marks(o.train.images, o.compare_every);
    std::ranges::set_union(kept_at, compared_at, std::back_inserter(o.train.keep));
    std::optional<Watched> watched;
    if (o.compare_every > 0) watched.emplace(o, images, stream->shape(), test.get());
    o.train.on_keep = [&](std::int64_t seen, std::int64_t mark) {
      if (std::ranges::binary_search(compared_at, mark)) {
        network->eval();
        watched->look(denoiser_of(network, info), seen, info.sigma_min, info.sigma_max);
        network->train();
      }
      if (!std::ranges::binary_search(kept_at, mark)) return;
      auto kept = info;
      kept.training = {{"images", std::to_string(seen)}, {"seed", std::to_string(o.train.seed)}, {"settings", settings}};
      save_unet(fmt::format("{}.{:08}", o.out, seen), network, kept);
    };
    result = run(*network, edm_loss(network, images, sigma_data, o.noise, o.train.seed),
                 fmt::format("{} {} sigma_data {} noise {} {} {} [{}, {}]", o.unet.to_json(), o.precision, sigma_data, o.noise.P_mean,
                             o.noise.P_std, o.noise.uniform_fraction, o.noise.sigma_min, o.noise.sigma_max));
    if (!result.finished) throw Interrupted();
    auto finished = info;
    finished.training = training();
    save_unet(o.out, network, finished);
    common(*network);
    json["sigma_data"] = sigma_data;
  } else {
    const torch::Tensor labels = labels_of(*stream, o.data);
    o.classifier.classes = labels.max().item<std::int64_t>() + 1;
    Classifier network(o.classifier);
    result = run(*network, classifier_loss(network, images, labels, o.shift, o.train.seed),
                 fmt::format("{} shift {} labels {}", o.classifier.to_json(), o.shift, hash_of(labels)));
    if (!result.finished) throw Interrupted();
    auto notes = training();
    if (test != nullptr) {
      const torch::Tensor test_images = read_images(*test);
      json["test_accuracy"] = accuracy(network, test_images, labels_of(*test, o.test_data));
      notes.emplace("test_accuracy", fmt::format("{:.4f}", json["test_accuracy"].get<double>()));
    }
    save_classifier(o.out, network, notes);
    common(*network);
  }
  say(cli, fmt::format(
               "{}: {} parameters, {} images in {:.0f} s ({:.0f}/s), final loss {:.4f}{}", o.out, json["parameters"].get<std::int64_t>(),
               result.images, result.seconds, json["images_per_second"].get<double>(), result.loss_curve.back().second,
               json.contains("test_accuracy") ? fmt::format(", test accuracy {:.2f} %", 100 * json["test_accuracy"].get<double>()) : ""));
  return json;
}

}  // namespace

void add_train(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb =
      add_verb(app, cli, "train", "Train the project's own U-Net (EDM loss) or a classifier; interrupted runs resume from OUT.checkpoint.",
               [o](const Cli& c) { return train_verb(*o, c); });
  verb->add_option("--data", o->data, "training images (DATA)")->required();
  add_as_option(*verb, o->as);
  verb->add_option("--out", o->out, "network file to write (.safetensors)")->required();
  verb->add_option("--arch", o->arch, "unet or classifier")->capture_default_str();
  verb->add_option("--images", o->train.images, "images to see in all")->check(CLI::PositiveNumber)->capture_default_str();
  verb->add_option("--batch", o->train.batch, "images a step")->check(CLI::PositiveNumber)->capture_default_str();
  verb->add_option("--shard", o->train.shard, "images a thread works on at once")->check(CLI::PositiveNumber)->capture_default_str();
  verb->add_option("--lr", o->train.adam.learning_rate, "learning rate after warm-up")->check(CLI::PositiveNumber)->capture_default_str();
  verb->add_option("--warmup", o->train.warmup_images, "images over which the learning rate rises")->capture_default_str();
  verb->add_option("--ema_fraction", o->train.ema_fraction, "half-life of the averaged weights, as a fraction of images seen")
      ->capture_default_str();
  verb->add_option("--seed", o->train.seed, "seed of weights, order and noise")->capture_default_str();
  verb->add_option("--checkpoint_images", o->train.checkpoint_images, "images between checkpoints")->capture_default_str();
  verb->add_option("--keep", o->keep, "U-Net: keep this many networks on the way, logarithmically spread, as OUT.IMAGES")
      ->capture_default_str();
  verb->add_option("--compare_every", o->compare_every,
                   "U-Net: every so many images, what a Gaussian of the data explains of its score, in OUT.compare.json; 0: never")
      ->capture_default_str();
  verb->add_option("--compare_samples", o->compare_samples, "images that this is measured at")->capture_default_str();
  verb->add_flag("--restart", o->restart, "discard an existing checkpoint");
  verb->add_option("--channels", o->unet.model_channels, "U-Net: width of the first level")->capture_default_str();
  verb->add_option("--channel_mult", o->unet.channel_mult, "U-Net: width of each level as a multiple")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--blocks", o->unet.num_blocks, "U-Net: residual blocks a level")->capture_default_str();
  verb->add_option("--attention", o->unet.attn_resolutions, "U-Net: heights of the levels with self-attention, beside the lowest")
      ->delimiter(',');
  verb->add_option("--patch", o->unet.patch, "U-Net: patch x patch pixels become channels")->capture_default_str();
  verb->add_option("--precision", o->precision, "U-Net: fp32, or bf16 convolutions (weights, norms and Adam stay fp32)")
      ->capture_default_str();
  verb->add_option("--sigma_data", o->sigma_data, "data's standard deviation (default: measured)")->check(CLI::PositiveNumber);
  verb->add_option("--P_mean", o->noise.P_mean, "mean of ln sigma")->capture_default_str();
  verb->add_option("--P_std", o->noise.P_std, "standard deviation of ln sigma")->capture_default_str();
  verb->add_option("--uniform_fraction", o->noise.uniform_fraction, "share of levels drawn uniformly in ln sigma")->capture_default_str();
  verb->add_option("--sigma_min", o->noise.sigma_min, "smallest level of that share")->capture_default_str();
  verb->add_option("--sigma_max", o->noise.sigma_max, "largest level of that share")->capture_default_str();
  verb->add_option("--classifier_channels", o->classifier.channels, "classifier: width of the first level")->capture_default_str();
  verb->add_option("--features", o->classifier.features, "classifier: width of the feature layer")->capture_default_str();
  verb->add_option("--shift", o->shift, "classifier: random shifts by up to this many pixels")->capture_default_str();
  verb->add_option("--test_data", o->test_data,
                   "held-out images (DATA): for a classifier's test accuracy, or a second set of rows with --compare_every");
}

}  // namespace headstart::app
