#pragma once
// The U-Net of the first shipped network. `train` builds EDM's (song_unet.h) instead; this one is only read, until its successor is
// trained.

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "headstart/data/image_shape.h"

namespace headstart {

/// Everything that fixes a U-Net's architecture; stored as JSON beside the weights.
struct UNetConfig {
  ImageShape shape{1, 28, 28};
  std::int64_t channels = 32;                       ///< width at full resolution
  std::vector<std::int64_t> channel_mult{1, 2, 2};  ///< width of each level as a multiple; one level halves height and width
  std::int64_t blocks = 2;                          ///< residual blocks a level in the encoder; the decoder has one more
  std::vector<std::int64_t> attention{};            ///< levels (0 = full resolution) whose blocks are followed by self-attention
  std::int64_t groups = 8;                          ///< GroupNorm groups, reduced where the width is no multiple of them
  std::int64_t patch = 1;  ///< patch x patch pixels become channels first: the first level works at 1/patch of the resolution

  std::string to_json() const;
  /// @throws InvalidArgument on a missing or ill-typed key
  static UNetConfig from_json(const std::string& text);
};

/// F(c_in x; c_noise): an encoder and decoder of residual blocks with skip connections.
///
/// Each block is GroupNorm - SiLU - conv3x3 - GroupNorm with scale and shift from the noise embedding - SiLU - conv3x3 (Nichol & Dhariwal,
/// arXiv 2102.09672; Ho et al., 2006.11239). The last convolution of every block and of the network starts at zero.
class UNetImpl : public torch::nn::Module {
 public:
  /// @throws InvalidArgument where height or width cannot be halved often enough, or a count is not positive
  explicit UNetImpl(const UNetConfig& config);

  /// @param x        [B, C, H, W]
  /// @param c_noise  [B], ln(sigma)/4 for EDM
  /// @return         [B, C, H, W]
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& c_noise);

  const UNetConfig& config() const { return config_; }

 private:
  UNetConfig config_;
  torch::Tensor frequencies_;
  torch::nn::Linear embed0_{nullptr}, embed1_{nullptr};
  torch::nn::Conv2d input_{nullptr}, output_{nullptr};
  torch::nn::GroupNorm output_norm_{nullptr};
  torch::nn::ModuleList encoder_, decoder_;
};
TORCH_MODULE(UNet);

}  // namespace headstart
