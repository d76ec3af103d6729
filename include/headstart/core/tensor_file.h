#pragma once
// Tensors in safetensors files: the bridge between data/ (no torch) and everything that computes.

#include <torch/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "headstart/data/array.h"

namespace headstart {

/// A copy of the array as a CPU tensor. @throws InvalidArgument for dtypes libtorch lacks (U16, U32, U64)
torch::Tensor to_tensor(const ArrayView& array);

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

/// Writes atomically; tensors are moved to the CPU and made contiguous first.
/// @throws DataError where the file cannot be written; InvalidArgument for dtypes that safetensors lacks (complex numbers)
void write_tensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata);

}  // namespace headstart
