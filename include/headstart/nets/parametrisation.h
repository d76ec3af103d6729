#pragma once
// What stands between D(x; sigma) and a network's own words: its input, its time, and what it predicts.
//
// Everywhere x = x0 + sigma n is the point in sigma-space, x_t = alpha x = alpha x0 + s n what the network's authors call it, s = alpha
// sigma. Levels are [B, 1, 1, 1] or anything else that broadcasts with the images [B, C, H, W].

#include <torch/types.h>

#include "headstart/nets/schedule.h"

namespace headstart {

/// What a network returns.
enum class Prediction { eps, x0, v, flow, score, edm };
/// What its first argument is.
enum class Input { x_t, x, c_in_x };
/// What its second argument is.
enum class Time { sigma, log_sigma, c_noise, t, step };

/// The noise n (Ho et al., arXiv 2006.11239): D = x - sigma eps.
torch::Tensor denoised_from_eps(const torch::Tensor& x, const torch::Tensor& eps, const torch::Tensor& sigma);

/// v = alpha n - s x0, where alpha^2 + s^2 = 1 (Salimans & Ho, arXiv 2202.00512): D = alpha x_t - s v.
torch::Tensor denoised_from_v(const torch::Tensor& x_t, const torch::Tensor& v, const torch::Tensor& alpha, const torch::Tensor& s);

/// The velocity u = dx_t/dt = n - x0 of a rectified flow, where s = t = 1 - alpha (Liu et al., arXiv 2209.03003): D = x_t - t u.
torch::Tensor denoised_from_flow(const torch::Tensor& x_t, const torch::Tensor& u, const torch::Tensor& t);

/// The score of x_t's density (Song et al., arXiv 2011.13456), by Tweedie's formula: D = (x_t + s^2 score) / alpha.
torch::Tensor denoised_from_score(const torch::Tensor& x_t, const torch::Tensor& score, const torch::Tensor& alpha, const torch::Tensor& s);

/// EDM's raw network F (Karras et al., arXiv 2206.00364, eq. 7): D = c_skip x + c_out F.
torch::Tensor denoised_from_edm(const torch::Tensor& x, const torch::Tensor& raw, const torch::Tensor& sigma, double sigma_data);

/// How a level is told to the network.
struct TimeEncoding {
  Time kind = Time::sigma;
  double scale = 1;      ///< multiplies it, last
  bool flip = false;     ///< time runs from noise to image: t becomes 1 - t, step becomes steps - 1 - step
  bool integer = false;  ///< a step is the nearest one in ln sigma; a scaled t is rounded
};

/// The number a network is told for a level. c_noise is ln(sigma) / 4 (arXiv 2206.00364, table 1).
/// @throws InvalidArgument where the schedule has no time for sigma
double encode_time(const TimeEncoding& time, const Schedule& schedule, double sigma);

/// All of it.
struct Parametrisation {
  Prediction prediction = Prediction::x0;
  Input input = Input::x_t;
  TimeEncoding time{};
  Schedule schedule = sigma_schedule();
  double sigma_data = 0;  ///< where prediction is edm or input c_in_x
};

/// alpha and s of a batch of levels; shape, dtype and device of sigma. The input's scaling belongs to the level that was asked for even
/// where the network can be told only the nearest step.
struct Levels {
  torch::Tensor sigma, alpha, s;
};
Levels levels_of(Scaling scaling, const torch::Tensor& sigma);

/// The network's first argument, from x.
torch::Tensor network_input(const Parametrisation& p, const torch::Tensor& x, const Levels& levels);

/// The network's second argument: [B] float32 or int64, on sigma's device. @throws InvalidArgument as encode_time
torch::Tensor network_time(const Parametrisation& p, const torch::Tensor& sigma);

/// D from x and what the network returned.
torch::Tensor denoised_of(const Parametrisation& p, const torch::Tensor& x, const torch::Tensor& output, const Levels& levels);

}  // namespace headstart
