#pragma once

#include <torch/types.h>

#include <utility>

#include "headstart/core/parallel.h"

namespace headstart {

/// Eigenvalues and eigenvectors of a small symmetric matrix, descending, on one thread: LAPACK's last bits depend on how many there are.
inline std::pair<torch::Tensor, torch::Tensor> descending_eigh(const torch::Tensor& symmetric) {
  std::pair<torch::Tensor, torch::Tensor> result;
  parallel_shards(1, [&](std::int64_t) {
    const auto [values, vectors] = torch::linalg_eigh(symmetric);
    result = {values.flip(0).contiguous(), vectors.flip(1).contiguous()};
  });
  return result;
}

}  // namespace headstart
