#pragma once
// Frechet distance of a set of samples to a reference. Shared by `evaluate` and `demo`.

#include <nlohmann/json.hpp>
#include <string>

#include "headstart/data/image_stream.h"
#include "headstart/metrics/features.h"
#include "headstart/metrics/frechet.h"

namespace headstart::app {

/// The file behind a feature name: "fashion-mnist-features" is the shipped classifier, other names are paths or "pixels".
std::string resolve_features(const std::string& name);

/// The folder of the shipped networks: HEADSTART_MODELS, or beside the program (../../models, ../share/headstart/models).
/// @throws DataError where `file` is in none of them
std::string shipped_model(const std::string& file);

/// Features of the first `limit` images of a stream (all where limit < 0), [N, F]; streams, holding only the features.
torch::Tensor stream_features(ImageStream& stream, const FeatureSpace& space, std::int64_t limit,
                              const std::function<void(std::int64_t)>& progress);

/// {"frechet": {"value", "low", "high", ...}}
nlohmann::ordered_json frechet_json(const torch::Tensor& features, const FeatureMoments& reference);

}  // namespace headstart::app
