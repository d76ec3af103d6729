#pragma once

#include <torch/types.h>

#include <utility>

#include "headstart/core/parallel.h"

namespace headstart {

/// Eigenvalues and eigenvectors of a small symmetric matrix, descending; the same on any number of threads.
inline std::pair<torch::Tensor, torch::Tensor> descending_eigh(const torch::Tensor& symmetric) {
  return on_one_thread([&] {
    const auto [values, vectors] = torch::linalg_eigh(symmetric);
    return std::pair(values.flip(0).contiguous(), vectors.flip(1).contiguous());
  });
}

}  // namespace headstart
