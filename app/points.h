#pragma once
// Files of points, [B, D] float, as denoise and flow take and give them.

#include <torch/types.h>

#include <string>

namespace headstart::app {

struct Points {
  torch::Tensor values;     ///< [B, D] float64
  torch::ScalarType dtype;  ///< of the file; results are written in it
};

/// @throws DataError unless the file is a float .npy of shape [B, D] with B > 0; InvalidArgument where D is not `dim`
Points read_points(const std::string& path, std::int64_t dim);

/// Writes atomically in `dtype`.
void write_points(const std::string& path, const torch::Tensor& values, torch::ScalarType dtype);

}  // namespace headstart::app
