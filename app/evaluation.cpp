#include "evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include "headstart/error.h"
#include "headstart/moments/moments.h"

namespace headstart::app {

namespace fs = std::filesystem;

std::string shipped_model(const std::string& file) {
  std::vector<fs::path> folders;
  if (const char* given = std::getenv("HEADSTART_MODELS")) folders.emplace_back(given);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  folders.push_back(program / ".." / ".." / "models");
  folders.push_back(program / ".." / "share" / "headstart" / "models");
  for (const auto& folder : folders)
    if (fs::is_regular_file(folder / file)) return (folder / file).lexically_normal().string();
  throw DataError(file, "no such shipped file; set HEADSTART_MODELS to the folder it is in");
}

std::string resolve_features(const std::string& name) {
  return name == "fashion-mnist-features" ? shipped_model(name + ".safetensors") : name;
}

void stream_features(const ImageSet& set, const FeatureSpace& space, const Cli& cli,
                     const std::function<void(const torch::Tensor&)>& take) {
  Progress progress(cli, "features of " + set.name, set.count, "images");
  const ImageShape& shape = set.stream.shape();
  const std::int64_t rows = std::clamp<std::int64_t>(8'000'000 / shape.dim(), 16, 2048) / 16 * 16;  // whole micro-batches
  std::vector<float> buffer(static_cast<std::size_t>(rows * shape.dim()));
  for (std::int64_t done = 0; done < set.count;) {
    const auto wanted = static_cast<std::size_t>(std::min(rows, set.count - done) * shape.dim());
    const std::int64_t got = set.stream.read(std::span(buffer).first(wanted));
    if (got == 0) break;
    const torch::Tensor images = torch::from_blob(buffer.data(), {got, shape.channels, shape.height, shape.width}, torch::kFloat32).clone();
    const torch::Tensor features = space.extract(images);
    const torch::Tensor bad = features.isfinite().all(1).logical_not();
    if (bad.any().item<bool>())
      throw NumericalError(fmt::format("{}: expected finite features in {}, got some that are not for image {}, counted from 0", set.name,
                                       space.name(), done + bad.to(torch::kInt64).argmax().item<std::int64_t>()));
    take(features);
    progress.update(done += got);
    stop_if_interrupted();
  }
}

torch::Tensor set_features(const ImageSet& set, const FeatureSpace& space, const Cli& cli) {
  std::vector<torch::Tensor> pieces;
  stream_features(set, space, cli, [&](const torch::Tensor& features) { pieces.push_back(features); });
  return torch::cat(pieces);
}

FeatureMoments set_moments(const ImageSet& set, const FeatureSpace& space, const Cli& cli) {
  if (set.count < 2) throw InvalidArgument(fmt::format("{}: expected at least two images, got {}", set.name, set.count));
  std::optional<MomentAccumulator> moments;
  stream_features(set, space, cli, [&](const torch::Tensor& features) {
    if (!moments) moments.emplace(features.size(1));
    moments->add(features);
  });
  return {moments->mean(), moments->covariance(1), moments->count()};
}

FrechetResult measure_frechet(const torch::Tensor& features, const FeatureMoments& reference, const Cli& cli, std::int64_t resamples) {
  const FeatureMoments moments = feature_moments(features);
  FrechetResult result{.distance = frechet_distance(moments, reference), .resamples = {}};
  result.width = features.size(1);
  result.rank = covariance_rank(moments.covariance);
  // A resample costs O(N F^2 + F^3): wide spaces get fewer.
  if (resamples == 0) resamples = result.width <= 128 ? 1000 : result.width <= 256 ? 200 : result.width <= 1024 ? 40 : 20;
  Progress progress(cli, "bootstrap", resamples, "resamples");
  result.resamples = frechet_resamples(features, reference, {.resamples = resamples, .on_progress = [&](std::int64_t done) {
                                                               progress.update(done);
                                                               stop_if_interrupted();
                                                             }});
  return result;
}

nlohmann::ordered_json to_json(const FrechetResult& result) {
  const FrechetDistance& d = result.distance;
  const Interval interval = interval_about(d.value, result.resamples);
  nlohmann::ordered_json json;
  json["value"] = d.value;
  json["low"] = interval.low;
  json["high"] = interval.high;
  json["interval"] = fmt::format("value -/+ 1.96 standard deviations of {} bootstrap resamples of the samples", result.resamples.numel());
  json["resamples"] = result.resamples.numel();
  json["estimated_bias"] = estimated_bias(d.value, result.resamples);
  json["mean_term"] = d.mean_term;
  json["covariance_term"] = d.covariance_term;
  json["most_negative_eigenvalue"] = d.clipped;
  json["width"] = result.width;
  json["rank"] = result.rank;
  return json;
}

nlohmann::ordered_json difference_json(const FrechetResult& samples, const FrechetResult& baseline) {
  const double a = samples.distance.value, b = baseline.distance.value;
  const Interval difference = interval_about(a - b, samples.resamples - baseline.resamples);
  const Interval relative = interval_about(a / b - 1, samples.resamples / baseline.resamples);
  nlohmann::ordered_json json;
  json["value"] = a - b;
  json["low"] = difference.low;
  json["high"] = difference.high;
  json["relative"] = a / b - 1;
  json["relative_low"] = relative.low;
  json["relative_high"] = relative.high;
  json["interval"] = fmt::format("value -/+ 1.96 standard deviations over {} bootstrap resamples, the same rows drawn from both sets",
                                 samples.resamples.numel());
  return json;
}

}  // namespace headstart::app
