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

/// Hands over the features [B, F] of the first `limit` images of a stream (all where limit < 0), batch by batch.
void stream_features(ImageStream& stream, const FeatureSpace& space, std::int64_t limit,
                     const std::function<void(const torch::Tensor&)>& take);

/// Moments of a whole stream's features; holds one batch at a time. @throws Interrupted after a signal
FeatureMoments reference_moments(ImageStream& stream, const FeatureSpace& space, const Cli& cli);

/// The value of the key `frechet` in results: {"value", "low", "high", ...}.
nlohmann::ordered_json frechet_json(const torch::Tensor& features, const FeatureMoments& reference);

}  // namespace headstart::app
