#pragma once
// Moments of a reference set in a file: the form in which references of FID are exchanged.

#include <optional>
#include <string>

#include "headstart/data/image_shape.h"
#include "headstart/metrics/features.h"
#include "headstart/metrics/frechet.h"

namespace headstart {

/// A reference, and what its file says of where it came from: files of EDM and others hold mean and covariance only.
struct FeatureReference {
  FeatureMoments moments;
  std::string features{};             ///< name of the feature space; empty: not known
  std::string features_sha256{};      ///< FeatureSpace::sha256
  std::optional<ImageShape> shape{};  ///< of the images
};

/// Whether a file is an .npz with `mu` and `sigma`. @throws DataError where it is a damaged zip
bool is_reference(const std::string& path);

/// An .npz with `mu` [F] and `sigma` [F, F] (divisor N - 1), float64 or float32; and where known `num` (N), `features` and
/// `features_sha256` (UTF-8 as uint8), `shape` (C, H, W). Other keys are ignored.
/// @throws DataError where it is none, a size does not fit, or `sigma` is no covariance (not symmetric, a negative eigenvalue)
/// Cost O(F^3), for the last of these.
FeatureReference read_reference(const std::string& path);

/// The same file, atomically; numpy.load reads it. @throws DataError where it cannot be written
void write_reference(const std::string& path, const FeatureReference& reference);

/// @throws InvalidArgument where the reference, which came from `path`, is known to be of another feature space or image shape
void require_same_space(const std::string& path, const FeatureReference& reference, const FeatureSpace& space, const ImageShape& shape);

}  // namespace headstart
