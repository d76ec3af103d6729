#include "points.h"

#include <fmt/format.h>

#include "headstart/core/tensor_file.h"
#include "headstart/data/npy.h"
#include "headstart/error.h"

namespace headstart::app {

Points read_points(const std::string& path, std::int64_t dim) {
  const Array array = read_npy(path);
  if ((array.dtype != DType::F32 && array.dtype != DType::F64) || array.shape.size() != 2 || array.shape[0] < 1)
    throw DataError(path, fmt::format("expected float32 or float64 points of shape [B, {}], got {} of shape {}", dim,
                                      to_string(array.dtype), shape_to_string(array.shape)));
  if (array.shape[1] != dim)
    throw InvalidArgument(fmt::format("{}: expected points of {} values as in the model, got {}", path, dim, array.shape[1]));
  const torch::Tensor values = to_tensor(array);
  return {values.to(torch::kFloat64), values.scalar_type()};
}

void write_points(const std::string& path, const torch::Tensor& values, torch::ScalarType dtype) {
  const torch::Tensor out = values.to(torch::kCPU, dtype).contiguous();
  const auto size = static_cast<std::size_t>(out.numel());
  if (dtype == torch::kFloat32)
    write_npy(path, view_of<float>(out.sizes().vec(), std::span<const float>(out.data_ptr<float>(), size)));
  else
    write_npy(path, view_of<double>(out.sizes().vec(), std::span<const double>(out.data_ptr<double>(), size)));
}

}  // namespace headstart::app
