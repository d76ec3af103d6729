#include "headstart/metrics/features.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "headstart/core/parallel.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/nets/unet_file.h"

namespace headstart {
namespace {

using torch::Tensor;

class Pixels : public FeatureSpace {
 public:
  std::string name() const override { return "pixels"; }
  std::string sha256() const override { return {}; }
  Tensor extract(const Tensor& images) const override { return images.flatten(1); }
};

class ClassifierFeatures : public FeatureSpace {
 public:
  ClassifierFeatures(const std::string& path, Classifier network)
      : name_(std::filesystem::path(path).stem().string()), sha256_(sha256_file(path)), network_(std::move(network)) {}
  std::string name() const override { return name_; }
  std::string sha256() const override { return sha256_; }

  Tensor extract(const Tensor& images) const override {
    constexpr std::int64_t kRows = 64;
    const std::int64_t pieces = (images.size(0) + kRows - 1) / kRows;
    std::vector<Tensor> results(static_cast<std::size_t>(pieces));
    parallel_shards(pieces, [&](std::int64_t i) {
      const torch::NoGradGuard no_grad;
      const Tensor piece = images.narrow(0, i * kRows, std::min(kRows, images.size(0) - i * kRows));
      results[static_cast<std::size_t>(i)] = const_cast<ClassifierImpl&>(*network_).features(piece);
    });
    return torch::cat(results);
  }

 private:
  std::string name_, sha256_;
  Classifier network_;
};

}  // namespace

std::unique_ptr<FeatureSpace> open_features(const std::string& features, const ImageShape& shape) {
  if (features == "pixels") return std::make_unique<Pixels>();
  Classifier network = load_classifier(features);
  if (network->config().shape != shape)
    throw InvalidArgument("--features: " + features + " expects images of shape " + to_string(network->config().shape) + ", got " +
                          to_string(shape));
  return std::make_unique<ClassifierFeatures>(features, network);
}

}  // namespace headstart
