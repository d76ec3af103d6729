#pragma once
// Data and statistics in the range of a model: networks see the same pictures in [-1, 1], [0, 1] or [-0.5, 0.5].

#include <torch/types.h>

#include <string>

#include "denoisers.h"
#include "headstart/data/image_stream.h"
#include "headstart/moments/gaussian_stats.h"
#include "headstart/moments/mixture_stats.h"

namespace headstart::app {

/// The statistics as they are for data in the model's range. Of pictures, ranges that are conventions are
/// converted (is_picture_range).
/// @param what  starts the message: the option, or the file
/// @throws InvalidArgument where they are of images of another shape, or of another range that was measured
GaussianStats fitted_to(const Model& model, const std::string& what, const GaussianStats& stats);
MixtureStats fitted_to(const Model& model, const std::string& what, const MixtureStats& stats);

/// Values [N, D] that the stream gave, as the model's data: 8-bit pictures in its range, floats as they are.
/// @throws InvalidArgument where floats lie outside the model's range
torch::Tensor as_data_of(const Model& model, const std::string& what, const ImageStream& stream, const torch::Tensor& values);

}  // namespace headstart::app
