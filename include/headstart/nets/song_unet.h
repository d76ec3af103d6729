#pragma once
// EDM's U-Net, and the project's own small networks as configurations of it.

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "headstart/data/image_shape.h"

namespace headstart {

/// Everything that fixes a SongUNet's architecture, under EDM's names; stored as JSON beside the weights. The defaults are DDPM++ for
/// CIFAR-10.
struct SongUNetConfig {
  ImageShape shape{3, 32, 32};
  std::int64_t model_channels = 128;
  std::vector<std::int64_t> channel_mult{2, 2, 2};  ///< width of each level as a multiple; a level halves height and width
  std::int64_t channel_mult_emb = 4;                ///< width of the embedding
  std::int64_t channel_mult_noise = 1;              ///< width of the noise level's own embedding
  std::int64_t num_blocks = 4;                      ///< a level, in the encoder; the decoder has one more
  std::vector<std::int64_t> attn_resolutions{16};   ///< heights of the levels with self-attention; the lowest level has it anyway
  double dropout = 0.13;                            ///< while training; draws on torch's generator of the calling thread
  std::int64_t label_dim = 0;                       ///< classes; 0: unconditional
  std::int64_t augment_dim = 0;                     ///< numbers that describe an augmentation; 0: none
  std::string embedding_type = "positional";        ///< of c_noise: positional (DDPM++), fourier (NCSN++), geometric (own)
  std::string encoder_type = "standard";            ///< standard, skip, residual (NCSN++)
  std::string decoder_type = "standard";            ///< standard, skip
  std::vector<double> resample_filter{1, 1};
  bool adaptive_scale = false;  ///< the embedding scales and shifts after the second norm, instead of being added before it
  std::int64_t patch = 1;       ///< own: patch x patch pixels become channels first, so that the first level works at 1/patch of the size

  /// The two networks of EDM (arXiv 2206.00364, table 7) for images of a shape: 55.7 and 56.4 million parameters for CIFAR-10.
  static SongUNetConfig ddpmpp(const ImageShape& shape);
  static SongUNetConfig ncsnpp(const ImageShape& shape);
  /// The project's own: 48 and 96 channels at two levels of one block, small enough to train on a CPU.
  static SongUNetConfig small(const ImageShape& shape);

  std::string to_json() const;
  /// @throws InvalidArgument on a missing or ill-typed key
  static SongUNetConfig from_json(const std::string& text);
};

/// F(c_in x; c_noise) of Song et al. (arXiv 2011.13456) as EDM trains it (arXiv 2206.00364): an encoder and decoder of residual blocks
/// with skip connections. Parameters carry EDM's names (`enc.32x32_block0.conv0.weight`, `map_noise.freqs`), so that its weights load by
/// name; the resampling filters, which EDM's files have too, follow from the configuration.
class SongUNetImpl : public torch::nn::Module {
 public:
  /// @throws InvalidArgument where the size cannot be halved often enough, a count is not positive, or a type is unknown (lists them)
  explicit SongUNetImpl(const SongUNetConfig& config);

  /// @param x         [B, C, H, W] float32
  /// @param c_noise   [B], ln(sigma)/4 for EDM
  /// @param classes   [B, label_dim] one-hot, or undefined: none of them
  /// @param augment   [B, augment_dim], or undefined: unaugmented
  /// @return          [B, C, H, W] float32
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& c_noise, const torch::Tensor& classes = {},
                        const torch::Tensor& augment = {});

  /// What convolutions compute in and activations are kept in: float32 (default) or bfloat16. Weights, norms' statistics, the embedding,
  /// attention's softmax and the result stay float32.
  void set_compute_type(torch::ScalarType type) { compute_type_ = type; }

  const SongUNetConfig& config() const { return config_; }

 private:
  torch::Tensor embed(const torch::Tensor& c_noise, const torch::Tensor& classes, const torch::Tensor& augment);
  void build_encoder(std::vector<std::int64_t>& skip_widths);
  void build_decoder(std::vector<std::int64_t> skip_widths);

  SongUNetConfig config_;
  torch::ScalarType compute_type_ = torch::kFloat32;
  std::shared_ptr<torch::nn::Module> map_noise_;
  torch::nn::Linear map_label_{nullptr}, map_augment_{nullptr}, map_layer0_{nullptr}, map_layer1_{nullptr};
  std::shared_ptr<torch::nn::Module> encoder_, decoder_;
};
TORCH_MODULE(SongUNet);

/// Number of trainable values.
std::int64_t count_parameters(const torch::nn::Module& module);

}  // namespace headstart
