#pragma once
// Adam and the running average over one flat vector of parameters: what a training run must save to be resumed exactly.

#include <torch/torch.h>

#include <vector>

namespace headstart {

struct AdamOptions {
  double learning_rate = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double eps = 1e-8;
  double gradient_clip = 1.0;  ///< the gradient's norm is scaled down to this
};

/// A module's parameters as one float32 vector, with Adam's moments (Kingma & Ba, arXiv 1412.6980) and an exponential moving average.
class FlatAdam {
 public:
  /// Moves the parameters' storage into one vector; they stay parameters of `module`.
  FlatAdam(torch::nn::Module& module, const AdamOptions& options);

  /// Gradients of `loss` by the parameters as one vector. Thread-safe, leaves `.grad` alone.
  torch::Tensor gradient(const torch::Tensor& loss) const;

  /// One step at `learning_rate_factor` times the learning rate; then ema <- ema_beta * ema + (1 - ema_beta) * parameters.
  /// @return the gradient's norm before clipping
  double step(const torch::Tensor& gradient, double learning_rate_factor, double ema_beta);

  /// Puts the averaged weights into the module (for saving or evaluating), or the trained ones back.
  void swap_ema();

  /// The state by name, in float32; reading back the same tensors continues the run bit for bit.
  std::vector<std::pair<std::string, torch::Tensor>> state() const;
  /// @throws InvalidArgument where a tensor has another size
  void load_state(const torch::Tensor& parameters, const torch::Tensor& ema, const torch::Tensor& first, const torch::Tensor& second,
                  std::int64_t steps);
  std::int64_t steps() const { return steps_; }

 private:
  AdamOptions options_;
  std::vector<torch::Tensor> parameters_;
  torch::Tensor flat_, ema_, first_, second_;
  std::int64_t steps_ = 0;
};

}  // namespace headstart
