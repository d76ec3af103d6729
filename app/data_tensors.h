#pragma once
// Reading a whole data set into memory, for training, which visits it in another order every epoch.

#include <torch/types.h>

#include <string>

#include "headstart/data/image_stream.h"

namespace headstart::app {

/// All images (or the first `limit`) as [N, C, H, W] float32 in data units.
torch::Tensor read_images(ImageStream& stream, std::int64_t limit = -1);

}  // namespace headstart::app
