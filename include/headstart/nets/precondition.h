#pragma once
// EDM's preconditioning: what stands around the raw network F.

#include <torch/types.h>

namespace headstart {

/// Karras et al., arXiv 2206.00364, table 1 ("ours"); all have sigma's shape.
struct Preconditioning {
  torch::Tensor c_skip;   ///< sigma_data^2 / (sigma^2 + sigma_data^2)
  torch::Tensor c_out;    ///< sigma sigma_data / sqrt(sigma^2 + sigma_data^2)
  torch::Tensor c_in;     ///< 1 / sqrt(sigma^2 + sigma_data^2)
  torch::Tensor c_noise;  ///< ln(sigma) / 4
};

/// @param sigma  any shape, > 0
Preconditioning edm_preconditioning(const torch::Tensor& sigma, double sigma_data);

}  // namespace headstart
