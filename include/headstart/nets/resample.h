#pragma once
// Convolutions that change the resolution: the one building block of EDM's networks that libtorch has not.

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace headstart {

enum class Resample { none, up, down };

/// x [B, C, H, W] filtered by the separable `filter` (its outer product with itself, normalised to 1) and halved or doubled in height and
/// width. {1, 1} is averaging or repetition; {1, 3, 3, 1} is the smoother one of NCSN++ (Zhang, arXiv 1904.11486).
torch::Tensor resample(const torch::Tensor& x, Resample mode, const std::vector<double>& filter);

struct ConvOptions {
  std::int64_t in = 1, out = 1;
  std::int64_t kernel = 3;  ///< 0: no weights, only resampling
  Resample mode = Resample::none;
  std::vector<double> filter{1, 1};
  bool fused = false;     ///< going down: convolve at full resolution, filter afterwards
  double init_scale = 1;  ///< of the Xavier-uniform start; the bias starts at zero
};

/// A convolution with padding kernel/2, before it (or after, where fused) the resampling. It computes in its input's type, whatever the
/// weights' type is. Parameters `weight` and `bias`.
class ConvImpl : public torch::nn::Module {
 public:
  explicit ConvImpl(ConvOptions options);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight, bias;  ///< undefined where kernel is 0

 private:
  ConvOptions options_;
};
TORCH_MODULE(Conv);

}  // namespace headstart
