#include "headstart/core/tensor_file.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "headstart/data/safetensors.h"
#include "headstart/error.h"

namespace headstart {
namespace {

constexpr std::pair<DType, torch::ScalarType> kTypes[] = {
    {DType::F64, torch::kFloat64}, {DType::F32, torch::kFloat32}, {DType::F16, torch::kFloat16}, {DType::BF16, torch::kBFloat16},
    {DType::I64, torch::kInt64},   {DType::I32, torch::kInt32},   {DType::I16, torch::kInt16},   {DType::I8, torch::kInt8},
    {DType::U8, torch::kUInt8},    {DType::BOOL, torch::kBool}};

}  // namespace

torch::Tensor to_tensor(const ArrayView& array) {
  for (const auto& [dtype, type] : kTypes) {
    if (dtype != array.dtype) continue;
    const torch::Tensor tensor = torch::empty(array.shape, type);
    if (!array.bytes.empty()) std::memcpy(tensor.data_ptr(), array.bytes.data(), array.bytes.size());
    return tensor;
  }
  throw InvalidArgument("[to_tensor] libtorch has no dtype " + to_string(array.dtype));
}

void write_tensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  std::vector<torch::Tensor> kept;  // owns the bytes the views below point into
  std::vector<NamedArray> arrays;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.detach().cpu().contiguous());
    const auto& data = kept.back();
    const auto known = std::ranges::find(kTypes, data.scalar_type(), [](const auto& pair) { return pair.second; });
    if (known == std::end(kTypes))
      throw InvalidArgument("[write_tensors] safetensors has no dtype " + std::string(c10::toString(data.scalar_type())) + ", that of " +
                            name);
    const std::span bytes(static_cast<const std::byte*>(data.data_ptr()), data.nbytes());
    arrays.push_back({name, ArrayView(known->first, data.sizes().vec(), bytes)});
  }
  write_safetensors(path, arrays, metadata);
}

}  // namespace headstart
