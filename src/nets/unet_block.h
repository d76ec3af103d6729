#pragma once
// The residual block of SongUNet, and its norm.

#include <torch/torch.h>

#include "headstart/nets/resample.h"

namespace headstart {

/// GroupNorm of at most 32 groups of at least 4 channels, eps 1e-6; holds the parameters `weight` and `bias`.
class NormImpl : public torch::nn::Module {
 public:
  explicit NormImpl(std::int64_t channels);
  /// Without SiLU.
  torch::Tensor forward(const torch::Tensor& x);
  torch::Tensor silu(const torch::Tensor& x, const torch::Tensor& scale = {}, const torch::Tensor& shift = {});

  torch::Tensor weight, bias;
};
TORCH_MODULE(Norm);

struct UNetBlockOptions {
  std::int64_t in = 1, out = 1, embedding = 1;
  Resample mode = Resample::none;
  std::vector<double> filter{1, 1};
  bool attention = false;  ///< single-head self-attention over all pixels after the residual
  bool adaptive_scale = false;
  double dropout = 0;
};

/// norm - silu - conv - (embedding) norm - silu - conv, added to the input; then attention, added again; each sum scaled by sqrt(1/2).
/// Song et al., arXiv 2011.13456, with the embedding as in Nichol & Dhariwal, arXiv 2102.09672, where adaptive_scale is set.
class UNetBlockImpl : public torch::nn::Module {
 public:
  explicit UNetBlockImpl(const UNetBlockOptions& options);
  /// @param x [B, in, H, W], float32 or bfloat16  @param embedding [B, embedding] float32
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& embedding);

  std::int64_t in_channels() const { return options_.in; }

 private:
  torch::Tensor attend(const torch::Tensor& x);

  UNetBlockOptions options_;
  Norm norm0{nullptr}, norm1{nullptr}, norm2{nullptr};
  Conv conv0{nullptr}, conv1{nullptr}, skip{nullptr}, qkv{nullptr}, proj{nullptr};
  torch::nn::Linear affine{nullptr};
};
TORCH_MODULE(UNetBlock);

/// Linear layer with the networks' start: Xavier-uniform weights, zero bias.
torch::nn::Linear linear(std::int64_t in, std::int64_t out, bool bias = true);

}  // namespace headstart
