#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "cli.h"
#include "evaluation.h"
#include "headstart/core/tensor_file.h"
#include "headstart/data/npz.h"
#include "headstart/error.h"
#include "run_dir.h"

namespace headstart::app {
namespace {

constexpr std::int64_t kFewest = 2048;

struct Options {
  std::string samples, reference, features = "pixels";
  std::vector<std::string> metrics{"frechet"};
  std::int64_t num = 0;
};

bool is_reference_npz(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[2] = {};
  if (!std::filesystem::is_regular_file(path) || !file.read(magic, 2) || magic[0] != 'P' || magic[1] != 'K') return false;
  const auto names = npz_names(path);
  return std::find(names.begin(), names.end(), "mu") != names.end() && std::find(names.begin(), names.end(), "sigma") != names.end();
}

/// EDM's reference form: npz with `mu` [F] and `sigma` [F, F].
FeatureMoments read_reference(const std::string& path) {
  FeatureMoments moments{to_tensor(read_npz(path, "mu")).to(torch::kFloat64), to_tensor(read_npz(path, "sigma")).to(torch::kFloat64), 0};
  const auto width = moments.mean.numel();
  if (moments.mean.dim() != 1 || moments.covariance.dim() != 2 || moments.covariance.size(0) != width ||
      moments.covariance.size(1) != width)
    throw DataError(path, "expected mu of shape [F] and sigma of shape [F, F]");
  if (!moments.mean.isfinite().all().item<bool>() || !moments.covariance.isfinite().all().item<bool>())
    throw DataError(path, "expected finite values in mu and sigma");
  return moments;
}

nlohmann::ordered_json evaluate_verb(const Options& o, const Cli& cli) {
  for (const auto& metric : o.metrics)
    if (metric != "frechet") throw InvalidArgument("--metrics: expected frechet, got " + metric);
  const std::string npz = o.samples + "/samples.npz";  // what sample --npz leaves
  const auto samples = open_images(std::filesystem::exists(npz) ? npz : o.samples);
  if (o.num > samples->count())
    throw InvalidArgument(fmt::format("--num: expected at most the {} samples in {}, got {}", samples->count(), o.samples, o.num));
  if (o.num == 0 && samples->count() < kFewest)
    throw InvalidArgument(
        fmt::format("--num: expected, because {} holds {} samples and distances of fewer than {} mislead; give the number to say you know",
                    o.samples, samples->count(), kFewest));
  const std::int64_t num = o.num > 0 ? o.num : samples->count();
  if (num < 2) throw InvalidArgument("--num: expected at least 2");
  const auto space = open_features(resolve_features(o.features), samples->shape());
  const double start = now();
  FeatureMoments reference;
  if (is_reference_npz(o.reference)) {
    reference = read_reference(o.reference);
  } else {
    const auto stream = open_images(o.reference);
    if (stream->shape() != samples->shape())
      throw InvalidArgument(fmt::format("--reference: expected images of shape {} as in {}, got {}", to_string(samples->shape()), o.samples,
                                        to_string(stream->shape())));
    reference = reference_moments(*stream, *space, cli);
  }
  std::vector<torch::Tensor> pieces;
  stream_features(*samples, *space, num, [&](const torch::Tensor& piece) {
    pieces.push_back(piece);
    if (interrupted()) throw Interrupted();
  });
  const torch::Tensor features = torch::cat(pieces);
  if (features.size(1) != reference.mean.numel())
    throw InvalidArgument(
        fmt::format("--reference: expected {} features as in {}, got {}", features.size(1), space->name(), reference.mean.numel()));

  nlohmann::ordered_json json;
  json["samples"] = o.samples;
  json["frechet"] = frechet_json(features, reference);
  json["num"] = num;
  json["features"] = space->name();
  json["features_sha256"] = space->sha256();
  json["reference"] = o.reference;
  json["reference_count"] = reference.count;
  json["seconds"] = now() - start;
  // A run's folder keeps its result, so that `report` finds it.
  if (std::filesystem::exists(o.samples + "/run.json")) RunDir(o.samples).write("evaluate.json", json);
  const auto& f = json["frechet"];
  say(cli, fmt::format("{}: Frechet distance {:.4f} [{:.4f}, {:.4f}] in {}, N = {}, reference {} ({} images)", o.samples,
                       f["value"].get<double>(), f["low"].get<double>(), f["high"].get<double>(), space->name(), num, o.reference,
                       reference.count));
  return json;
}

}  // namespace

void add_evaluate(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "evaluate", "Frechet distance of samples to a reference, in a named feature space.",
                        [o](const Cli& c) { return evaluate_verb(*o, c); });
  verb->add_option("--samples", o->samples, "a run's folder, .npz or .npy")->required();
  verb->add_option("--reference", o->reference, "images (DATA), or an .npz with mu and sigma; always used whole")->required();
  verb->add_option("--features", o->features, "pixels, fashion-mnist-features, or a classifier's file")->capture_default_str();
  verb->add_option("--metrics", o->metrics, "frechet")->delimiter(',');
  verb->add_option("--num", o->num, "first samples only; to be given where there are fewer than 2048")->check(CLI::PositiveNumber);
}

}  // namespace headstart::app
