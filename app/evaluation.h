#pragma once
// Frechet distance of a set of samples to a reference. Shared by `evaluate` and `demo`.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "cli.h"
#include "headstart/data/image_stream.h"
#include "headstart/metrics/features.h"
#include "headstart/metrics/frechet.h"

namespace headstart::app {

/// The file behind a feature name: "fashion-mnist-features" is the shipped classifier, other names are paths or "pixels".
std::string resolve_features(const std::string& name);

/// The folder of the shipped networks: HEADSTART_MODELS, or beside the program (../../models, ../share/headstart/models).
/// @throws DataError where `file` is in none of them
std::string shipped_model(const std::string& file);

/// The first `count` images of a stream, under the name that messages call it.
struct ImageSet {
  std::string name;
  ImageStream& stream;
  std::int64_t count;
};

/// Hands over the features [B, F] of a set, batch by batch.
/// @throws NumericalError on features that are not finite (names set and image); Interrupted after a signal
void stream_features(const ImageSet& set, const FeatureSpace& space, const Cli& cli, const std::function<void(const torch::Tensor&)>& take);

/// Features [N, F] of a whole set. @throws as stream_features
torch::Tensor set_features(const ImageSet& set, const FeatureSpace& space, const Cli& cli);

/// Moments of a set's features; holds one batch at a time. @throws as stream_features; InvalidArgument on fewer than two images
FeatureMoments set_moments(const ImageSet& set, const FeatureSpace& space, const Cli& cli);

/// A distance and those of its resamples.
struct FrechetResult {
  FrechetDistance distance;
  torch::Tensor resamples;  ///< [B]
  std::int64_t rank = 0;    ///< of the samples' covariance
  std::int64_t width = 0;   ///< F
};

/// @param resamples  0: as many as the width allows in a reasonable time
FrechetResult measure_frechet(const torch::Tensor& features, const FeatureMoments& reference, const Cli& cli, std::int64_t resamples = 0);

/// The value of the key `frechet` in results: {"value", "low", "high", ...}.
nlohmann::ordered_json to_json(const FrechetResult& result);

/// {"value", "low", "high", "relative", "relative_low", "relative_high", ...} of two sets of equal size, paired by index.
nlohmann::ordered_json difference_json(const FrechetResult& samples, const FrechetResult& baseline);

}  // namespace headstart::app
