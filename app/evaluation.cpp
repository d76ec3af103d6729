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

void stream_features(ImageStream& stream, const FeatureSpace& space, std::int64_t limit,
                     const std::function<void(const torch::Tensor&)>& take) {
  const ImageShape& shape = stream.shape();
  const std::int64_t count = limit < 0 ? stream.count() : std::min(limit, stream.count());
  const std::int64_t rows = std::clamp<std::int64_t>(8'000'000 / shape.dim(), 1, 2048);
  std::vector<float> buffer(static_cast<std::size_t>(rows * shape.dim()));
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t got = stream.read(std::span(buffer).first(static_cast<std::size_t>(std::min(rows, count - done) * shape.dim())));
    if (got == 0) break;
    take(space.extract(torch::from_blob(buffer.data(), {got, shape.channels, shape.height, shape.width}, torch::kFloat32).clone()));
    done += got;
  }
}

FeatureMoments reference_moments(ImageStream& stream, const FeatureSpace& space, const Cli& cli) {
  Progress progress(cli, "reference features", stream.count(), "images");
  std::optional<MomentAccumulator> moments;
  stream_features(stream, space, -1, [&](const torch::Tensor& features) {
    if (!moments) moments.emplace(features.size(1));
    moments->add(features);
    progress.update(moments->count());
    if (interrupted()) throw Interrupted();
  });
  if (!moments || moments->count() < 2) throw InvalidArgument("--reference: expected at least two images");
  return {moments->mean(), moments->covariance(1), moments->count()};
}

nlohmann::ordered_json frechet_json(const torch::Tensor& features, const FeatureMoments& reference) {
  const FrechetDistance d = frechet_distance(feature_moments(features), reference);
  // Each resample costs O(F^3): wide spaces get fewer.
  const BootstrapOptions bootstrap{.resamples = features.size(1) <= 256 ? 100 : 20};
  const Interval interval = frechet_interval(features, reference, bootstrap);
  nlohmann::ordered_json json;
  json["value"] = d.value;
  json["low"] = interval.low;
  json["high"] = interval.high;
  json["interval"] = fmt::format("value -/+ 1.96 standard deviations of {} bootstrap resamples of the samples", bootstrap.resamples);
  json["mean_term"] = d.mean_term;
  json["covariance_term"] = d.covariance_term;
  json["most_negative_eigenvalue"] = d.clipped;
  return json;
}

}  // namespace headstart::app
