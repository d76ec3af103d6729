#pragma once
// A small classifier whose penultimate layer is the feature space of the project's own Frechet distances.

#include <torch/torch.h>

#include <cstdint>
#include <string>

#include "headstart/data/image_shape.h"

namespace headstart {

struct ClassifierConfig {
  ImageShape shape{1, 28, 28};
  std::int64_t channels = 32;  ///< width at full resolution; doubled at each of two halvings
  std::int64_t features = 64;  ///< width of the feature layer
  std::int64_t classes = 10;
  std::int64_t groups = 8;

  std::string to_json() const;
  /// @throws InvalidArgument on a missing or ill-typed key
  static ClassifierConfig from_json(const std::string& text);
};

/// Three levels of two 3x3 convolutions, global average, a linear feature layer, SiLU, a linear read-out.
class ClassifierImpl : public torch::nn::Module {
 public:
  /// @throws InvalidArgument where a count is not positive, groups do not divide channels, or the image cannot be halved twice
  explicit ClassifierImpl(const ClassifierConfig& config);

  /// [B, C, H, W] in data units -> features [B, features], before the last SiLU (nearer to Gaussian than after it)
  torch::Tensor features(const torch::Tensor& x);
  /// [B, C, H, W] -> logits [B, classes]
  torch::Tensor forward(const torch::Tensor& x);

  const ClassifierConfig& config() const { return config_; }

 private:
  ClassifierConfig config_;
  torch::nn::ModuleList convolutions_, norms_;
  torch::nn::Linear feature_layer_{nullptr}, read_out_{nullptr};
};
TORCH_MODULE(Classifier);

}  // namespace headstart
