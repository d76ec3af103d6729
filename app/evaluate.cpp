#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "cli.h"
#include "data_tensors.h"
#include "evaluation.h"
#include "headstart/error.h"
#include "headstart/metrics/reference.h"
#include "run_dir.h"

namespace headstart::app {
namespace {

constexpr std::int64_t kFewest = 2048;

struct Options {
  std::string samples, baseline, reference, save_reference, as, features = "pixels";
  std::vector<std::string> metrics{"frechet"};
  std::int64_t num = 0, resamples = 0;
};

std::unique_ptr<ImageStream> open_samples(const std::string& path, const std::string& as) {
  const std::string npz = path + "/samples.npz";  // what sample --npz leaves
  return open_data(std::filesystem::exists(npz) ? npz : path, as);
}

/// How many samples to use of `path`, which holds `there`.
std::int64_t number_of_samples(const Options& o, const std::string& path, std::int64_t there) {
  if (o.num > there) throw InvalidArgument(fmt::format("--num: expected at most the {} samples in {}, got {}", there, path, o.num));
  if (o.num == 0 && there < kFewest)
    throw InvalidArgument(
        fmt::format("--num: expected, because {} holds {} samples and distances of fewer than {} mislead; give the number to say you know",
                    path, there, kFewest));
  const std::int64_t num = o.num > 0 ? o.num : there;
  if (num < 2) throw InvalidArgument("--num: expected at least 2");
  return num;
}

void require_shape(const std::string& option, const ImageShape& expected, const std::string& of, const ImageShape& got) {
  if (got != expected)
    throw InvalidArgument(fmt::format("{}: expected images of shape {} as in {}, got {}", option, to_string(expected), of, to_string(got)));
}

/// The reference, from its file or measured and, where that is wanted, kept.
FeatureReference find_reference(const Options& o, ImageStream* images, const FeatureSpace& space, const Cli& cli) {
  if (images == nullptr) return read_reference(o.reference);
  FeatureReference reference{.moments = set_moments({o.reference, *images, images->count()}, space, cli),
                             .features = space.name(),
                             .features_sha256 = space.sha256(),
                             .shape = images->shape()};
  if (!o.save_reference.empty()) write_reference(o.save_reference, reference);
  return reference;
}

/// "A: Frechet distance 3.65 [1.67, 5.64], of which bias about 1.70".
std::string sentence(const std::string& name, const nlohmann::ordered_json& f) {
  return fmt::format("{}: Frechet distance {:.4f} [{:.4f}, {:.4f}], of which bias about {:.4f}", name, f["value"].get<double>(),
                     f["low"].get<double>(), f["high"].get<double>(), f["estimated_bias"].get<double>());
}

void say_difference(const Cli& cli, const Options& o, const nlohmann::ordered_json& d) {
  const auto percent = [&](const char* key) { return 100 * d[key].get<double>(); };
  say(cli, fmt::format("difference {:+.4f} [{:+.4f}, {:+.4f}], {:+.2f} % [{:+.2f}, {:+.2f}] of {}", d["value"].get<double>(),
                       d["low"].get<double>(), d["high"].get<double>(), percent("relative"), percent("relative_low"),
                       percent("relative_high"), o.baseline));
}

/// Everything that can be refused without computing is refused here.
void check(const Options& o) {
  for (const auto& metric : o.metrics)
    if (metric != "frechet") throw InvalidArgument("--metrics: expected some of frechet, got " + metric);
  if (o.samples.empty() && o.save_reference.empty()) throw InvalidArgument("--samples: expected, unless --save_reference is given");
  if (o.samples.empty() && !o.baseline.empty()) throw InvalidArgument("--baseline: expected --samples beside it");
  if (!o.save_reference.empty()) {
    require_folder_of(o.save_reference);
    if (is_reference(o.reference))
      throw InvalidArgument("--save_reference: expected images as --reference, got the moments of a feature space in " + o.reference);
  }
}

nlohmann::ordered_json evaluate_verb(const Options& o, const Cli& cli) {
  check(o);
  const double start = now();
  const auto references = is_reference(o.reference) ? nullptr : open_data(o.reference, o.as);
  std::vector<std::string> names;
  for (const auto& name : {o.samples, o.baseline})
    if (!name.empty()) names.push_back(name);
  std::vector<std::unique_ptr<ImageStream>> streams;
  std::int64_t num = 0;
  for (const auto& name : names) {
    streams.push_back(open_samples(name, o.as));
    const std::int64_t count = number_of_samples(o, name, streams.back()->count());
    if (num > 0 && count != num)
      throw InvalidArgument(fmt::format("--baseline: expected {} samples as in {}, got {}; give --num", num, o.samples, count));
    num = count;
    require_shape("--baseline", streams.front()->shape(), o.samples, streams.back()->shape());
    if (references) require_shape("--reference", streams.front()->shape(), o.samples, references->shape());
  }
  const ImageShape shape = streams.empty() ? references->shape() : streams.front()->shape();
  const auto space = open_features(resolve_features(o.features), shape);
  const FeatureReference reference = find_reference(o, references.get(), *space, cli);
  require_same_space(o.reference, reference, *space, shape);

  const auto width = reference.moments.mean.numel();
  std::vector<FrechetResult> results;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const torch::Tensor features = set_features({names[i], *streams[i], num}, *space, cli);
    if (features.size(1) != width)
      throw InvalidArgument(fmt::format("--reference: expected {} features as in {}, got {}", features.size(1), space->name(), width));
    results.push_back(measure_frechet(features, reference.moments, cli, o.resamples));
  }

  nlohmann::ordered_json json;
  if (!names.empty()) {
    json["samples"] = o.samples;
    json["frechet"] = to_json(results[0]);
    json["num"] = num;
  }
  if (names.size() == 2) {
    json["baseline"] = o.baseline;
    json["baseline_frechet"] = to_json(results[1]);
    json["frechet_difference"] = difference_json(results[0], results[1]);
  }
  json["features"] = space->name();
  json["features_sha256"] = space->sha256();
  json["reference"] = o.reference;
  json["reference_count"] = reference.moments.count;
  json["reference_rank"] = covariance_rank(reference.moments.covariance);
  json["seconds"] = now() - start;
  // A run's folder keeps its result, so that `report` finds it.
  if (!names.empty() && std::filesystem::exists(o.samples + "/run.json")) RunDir(o.samples).write("evaluate.json", json);

  const auto count = reference.moments.count;
  const std::string against =
      fmt::format("{} features, reference {}{}", space->name(), o.reference, count > 0 ? fmt::format(" ({} images)", count) : "");
  say(cli, names.empty() ? against : fmt::format("{}, N = {}", against, num));
  if (!names.empty()) say(cli, sentence(o.samples, json["frechet"]));
  if (names.size() == 2) {
    say(cli, sentence(o.baseline, json["baseline_frechet"]));
    say_difference(cli, o, json["frechet_difference"]);
  }
  if (num > 0 && num <= width)
    say(cli, fmt::format("N = {} is not more than the {} features: the samples' covariance has rank {}, and the distance is mostly what it "
                         "lacks; compare it with distances of the same N only",
                         num, width, results[0].rank));
  if (!o.save_reference.empty()) say(cli, o.save_reference + " written");
  return json;
}

}  // namespace

void add_evaluate(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "evaluate", "Frechet distance of samples to a reference, in a named feature space.",
                        [o](const Cli& c) { return evaluate_verb(*o, c); });
  verb->add_option("--samples", o->samples, "a run's folder, .npz or .npy; may be left out with --save_reference");
  verb->add_option("--baseline", o->baseline, "other samples, paired by index with the first: report the difference too");
  verb->add_option("--reference", o->reference, "images (DATA), or an .npz with mu and sigma; always used whole")->required();
  verb->add_option("--save_reference", o->save_reference, "keep the moments of --reference in this .npz, to be given as --reference later");
  add_as_option(*verb, o->as);
  verb->add_option("--features", o->features, "pixels, fashion-mnist-features, a classifier's file, or a TorchScript file fed uint8")
      ->capture_default_str();
  verb->add_option("--metrics", o->metrics, "frechet")->delimiter(',');
  verb->add_option("--num", o->num, "first samples only; to be given where there are fewer than 2048")->check(CLI::PositiveNumber);
  verb->add_option("--resamples", o->resamples, "of the bootstrap (default: 1000, fewer beyond 128 features)")
      ->check(CLI::Range(2, 1'000'000));
}

}  // namespace headstart::app
