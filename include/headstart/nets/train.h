#pragma once
// Training on the CPU: one resumable loop, and the two networks that the project ships trained with it.

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "headstart/nets/classifier.h"
#include "headstart/nets/optimizer.h"
#include "headstart/nets/song_unet.h"

namespace headstart {

struct TrainProgress {
  std::int64_t images = 0;  ///< seen so far, those of earlier sessions included
  std::int64_t total = 0;
  double loss = 0;  ///< running mean
  double images_per_second = 0;
  double seconds_left = 0;
};

struct TrainOptions {
  std::int64_t images = 400'000;  ///< images to see in all
  std::int64_t batch = 128;
  std::int64_t shard = 16;  ///< a batch's gradient is the fixed-order sum over shards of this many images, each on one thread
  AdamOptions adam{};
  std::int64_t warmup_images = 10'000;  ///< the learning rate rises linearly over these, then falls as a cosine to zero at `images`
  double ema_fraction = 0.02;           ///< half-life of the averaged weights as a fraction of the images seen so far
  std::int64_t seed = 0;
  std::string checkpoint{};  ///< file to resume from and to save to; none where empty
  std::int64_t checkpoint_images = 20'000;
  std::vector<std::int64_t> keep{};  ///< ascending; as soon as so many images were seen, on_keep finds the averaged weights in the module
  std::function<void(std::int64_t images, std::int64_t mark)> on_keep{};  ///< images >= mark seen; called for each mark
  std::function<bool(const TrainProgress&)> on_progress{};                ///< called after every step; false saves a checkpoint and stops
};

struct TrainResult {
  std::int64_t images = 0;
  bool finished = false;
  double seconds = 0;                                       ///< of computing, summed over the sessions
  std::vector<std::pair<std::int64_t, double>> loss_curve;  ///< images seen, mean loss since the point before
};

/// Mean loss over images [first, first + count) of the endless stream of training images; must not depend on threads.
using ShardLoss = std::function<torch::Tensor(std::int64_t first, std::int64_t count)>;

/// `count` numbers of images from about 1/128 of `images` up to `images` itself, each the same multiple of the one before: a network learns
/// most at the start, so its history is kept on a logarithmic scale.
std::vector<std::int64_t> logarithmic_marks(std::int64_t images, std::int64_t count);

/// Minimises the loss with Adam and leaves the averaged weights in `module`. Equal options and seed give equal weights, however
/// many threads work and however often the run was interrupted and resumed.
/// @param identity  what the checkpoint must have been made with: another one is refused
/// @throws DataError where the checkpoint is unreadable or of another run; NumericalError where the gradient is not finite
/// Memory: 16 bytes a parameter beside the activations of `threads` shards.
TrainResult train(torch::nn::Module& module, const ShardLoss& loss, const TrainOptions& options, const std::string& identity);

/// Which image comes i-th when the data are shuffled anew every epoch. Depends on (seed, epoch) only.
class ShuffledOrder {
 public:
  ShuffledOrder(std::int64_t count, std::int64_t seed) : count_(count), seed_(seed) {}
  /// @return [count] indices of images first .. first + count - 1 of the stream
  torch::Tensor indices(std::int64_t first, std::int64_t count) const;

 private:
  torch::Tensor epoch_order(std::int64_t epoch) const;
  std::int64_t count_, seed_;
};

/// How noise levels are drawn in training.
struct NoiseDistribution {
  double P_mean = -1.2;  ///< ln sigma ~ N(P_mean, P_std^2), EDM's choice ...
  double P_std = 1.2;
  double uniform_fraction = 0.2;  ///< ... except for this share, whose ln sigma is uniform: EDM's alone sees sigma > 10 once in 500 images
  double sigma_min = 0.002;
  double sigma_max = 80;
};

/// The loss of a denoiser D = c_skip x + c_out F(c_in x; c_noise), weighted so that F's target has unit variance (EDM, arXiv 2206.00364,
/// eq. 8 and table 1). Noise and levels depend on (seed, first) only.
/// @param images  [N, C, H, W] float32 in data units
ShardLoss edm_loss(SongUNet network, torch::Tensor images, double sigma_data, const NoiseDistribution& noise, std::int64_t seed);

/// Cross entropy of a classifier on images shifted by up to `shift` pixels and mirrored at random.
/// @param labels  [N] int64
ShardLoss classifier_loss(Classifier network, torch::Tensor images, torch::Tensor labels, std::int64_t shift, std::int64_t seed);

}  // namespace headstart
