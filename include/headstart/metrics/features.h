#pragma once
// Named feature spaces: what a Frechet distance is measured in.

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "headstart/data/image_shape.h"

namespace headstart {

/// A map from images to feature vectors; an image's features depend on nothing but the image.
class FeatureSpace {
 public:
  virtual ~FeatureSpace() = default;
  /// As reports name it.
  virtual std::string name() const = 0;
  /// Hash of what computes the features; empty for pixels.
  virtual std::string sha256() const = 0;
  /// @param images  [N, C, H, W] float32 in data units
  /// @return        [N, F], a floating dtype
  /// @throws InvalidArgument, DataError as open_features says of the space
  virtual torch::Tensor extract(const torch::Tensor& images) const = 0;
};

/// One of
/// - "pixels": data units, flattened;
/// - the path of a classifier's safetensors file: its feature layer;
/// - the path of a TorchScript file, by which FID's Inception network is meant as well as anyone's: called with uint8 [B, C, H, W] in
///   0..255, grey images repeated to three channels, and with return_features=True where its forward has an argument of that name (as
///   NVIDIA's Inception files do, which otherwise return class probabilities). Returns floats [B, F]. Images that are no 8-bit pixels are
///   refused by extract (InvalidArgument), as is what fails or returns something else (DataError).
/// Networks see micro-batches of one fixed size, so features do not depend on how images were batched, to the last bit.
/// @param shape  of the images it will see
/// @throws DataError where the file is missing or no classifier or TorchScript; InvalidArgument where a classifier was trained on another
///   shape
std::unique_ptr<FeatureSpace> open_features(const std::string& features, const ImageShape& shape);

}  // namespace headstart
