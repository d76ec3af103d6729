#pragma once
// What the tests of this room share: small networks whose output is not zero, and comparisons of tensors.

#include <torch/torch.h>

#include "../core/with_threads.h"
#include "../data/data_test.h"
#include "headstart/nets/song_unet.h"

namespace headstart {

/// Small normal values everywhere: a fresh U-Net's last layers are zero and would hide everything before them.
inline void perturb(torch::nn::Module& module, std::int64_t seed = 1, double scale = 0.1) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(static_cast<std::uint64_t>(seed));
  for (auto& parameter : module.parameters()) parameter.add_(torch::randn_like(parameter), scale);
}

/// One block a level on 8 x 8 pixels: milliseconds a call.
inline SongUNetConfig tiny_unet() {
  SongUNetConfig config = SongUNetConfig::small({1, 8, 8});
  config.model_channels = 8;
  return config;
}

/// The network that the project ships.
inline SongUNetConfig shipped_unet() {
  SongUNetConfig config = SongUNetConfig::small({1, 28, 28});
  config.patch = 2;
  return config;
}

inline torch::Tensor weights_of(const torch::nn::Module& module) {
  std::vector<torch::Tensor> all;
  for (const auto& parameter : module.parameters()) all.push_back(parameter.detach().reshape(-1));
  return torch::cat(all).clone();
}

/// Noise levels of EDM's range, another one for each of `rows` rows.
inline torch::Tensor levels_of_rows(std::int64_t rows) { return torch::logspace(-2, 1.5, rows).roll(rows / 3); }

inline double max_abs(const torch::Tensor& t) { return t.abs().max().item<double>(); }

}  // namespace headstart
