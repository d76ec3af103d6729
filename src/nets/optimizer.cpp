#include "headstart/nets/optimizer.h"

#include <cmath>

#include "headstart/error.h"

namespace headstart {

using torch::Tensor;

FlatAdam::FlatAdam(torch::nn::Module& module, const AdamOptions& options) : options_(options), parameters_(module.parameters()) {
  torch::NoGradGuard no_grad;
  std::vector<Tensor> pieces;
  for (const auto& parameter : parameters_) pieces.push_back(parameter.detach().reshape(-1));
  flat_ = torch::cat(pieces);
  std::int64_t offset = 0;
  for (auto& parameter : parameters_) {
    const std::int64_t size = parameter.numel();
    parameter.set_data(flat_.narrow(0, offset, size).view_as(parameter));
    offset += size;
  }
  ema_ = flat_.clone();
  first_ = torch::zeros_like(flat_);
  second_ = torch::zeros_like(flat_);
}

Tensor FlatAdam::gradient(const Tensor& loss) const {
  std::vector<Tensor> pieces = torch::autograd::grad({loss}, parameters_);
  for (auto& piece : pieces) piece = piece.reshape(-1);
  return torch::cat(pieces);
}

double FlatAdam::step(const Tensor& gradient, double learning_rate_factor, double ema_beta) {
  torch::NoGradGuard no_grad;
  const double norm = gradient.norm().item<double>();
  if (!std::isfinite(norm)) throw NumericalError("[train] the gradient is not finite; try a smaller learning rate");
  const Tensor g = norm > options_.gradient_clip ? gradient * (options_.gradient_clip / norm) : gradient;
  ++steps_;
  first_.mul_(options_.beta1).add_(g, 1 - options_.beta1);
  second_.mul_(options_.beta2).addcmul_(g, g, 1 - options_.beta2);
  const double n = static_cast<double>(steps_);
  const double rate = options_.learning_rate * learning_rate_factor / (1 - std::pow(options_.beta1, n));
  const Tensor scale = (second_ / (1 - std::pow(options_.beta2, n))).sqrt_().add_(options_.eps);
  flat_.addcdiv_(first_, scale, -rate);
  ema_.mul_(ema_beta).add_(flat_, 1 - ema_beta);
  return norm;
}

void FlatAdam::swap_ema() {
  torch::NoGradGuard no_grad;
  const Tensor trained = flat_.clone();
  flat_.copy_(ema_);
  ema_.copy_(trained);
}

std::vector<std::pair<std::string, Tensor>> FlatAdam::state() const {
  return {{"parameters", flat_}, {"ema", ema_}, {"adam_first", first_}, {"adam_second", second_}};
}

void FlatAdam::load_state(const Tensor& parameters, const Tensor& ema, const Tensor& first, const Tensor& second, std::int64_t steps) {
  torch::NoGradGuard no_grad;
  for (const auto& tensor : {parameters, ema, first, second})
    if (tensor.sizes() != flat_.sizes())
      throw InvalidArgument("[train] expected a checkpoint of " + std::to_string(flat_.numel()) + " parameters, got " +
                            std::to_string(tensor.numel()));
  flat_.copy_(parameters);
  ema_.copy_(ema);
  first_.copy_(first);
  second_.copy_(second);
  steps_ = steps;
}

}  // namespace headstart
