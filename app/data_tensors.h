#pragma once
// DATA as the verbs read it, and tensors as they write them.

#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "headstart/data/image_stream.h"

namespace headstart::app {

/// Adds --as, to be handed to open_data.
void add_as_option(CLI::App& verb, std::string& as);

/// A DATA argument, read and decoded in the background while the verb computes.
/// @param as  "grey" or "rgb"; empty: as stored
/// @throws InvalidArgument on another `as`, and as open_images
std::unique_ptr<ImageStream> open_data(const std::string& data, const std::string& as = "");

/// For training, which visits its images in another order every epoch: all of them (or the first `limit`) as [N, C, H, W] float32
/// in data units, in memory.
torch::Tensor read_images(ImageStream& stream, std::int64_t limit = -1);

/// All values, in order.
std::vector<double> to_vector(const torch::Tensor& values);

}  // namespace headstart::app
