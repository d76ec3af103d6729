#pragma once
// Named feature spaces: what a Frechet distance is measured in.

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "headstart/data/image_shape.h"

namespace headstart {

/// A map from images to feature vectors.
class FeatureSpace {
 public:
  virtual ~FeatureSpace() = default;
  /// As reports name it.
  virtual std::string name() const = 0;
  /// Hash of what computes the features; empty for pixels.
  virtual std::string sha256() const = 0;
  /// @param images  [N, C, H, W] float32 in data units
  /// @return        [N, F] float32
  virtual torch::Tensor extract(const torch::Tensor& images) const = 0;
};

/// "pixels" (data units, flattened) or the path of a classifier's safetensors file.
/// @param shape  of the images it will see
/// @throws DataError where the file is missing or no classifier; InvalidArgument where it was trained on another shape
std::unique_ptr<FeatureSpace> open_features(const std::string& features, const ImageShape& shape);

}  // namespace headstart
