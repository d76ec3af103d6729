#include "headstart/nets/parametrisation.h"

#include <cmath>

#include "headstart/nets/precondition.h"

namespace headstart {
namespace {

using torch::Tensor;

/// `fn` of every level, in double.
template <class Fn>
Tensor each(const Tensor& sigma, Fn fn) {
  Tensor values = sigma.to(torch::kCPU, torch::kFloat64).clone().contiguous();
  double* value = values.data_ptr<double>();
  for (std::int64_t i = 0; i < values.numel(); ++i) value[i] = fn(value[i]);
  return values;
}

}  // namespace

Tensor denoised_from_eps(const Tensor& x, const Tensor& eps, const Tensor& sigma) { return x - sigma * eps; }

Tensor denoised_from_v(const Tensor& x_t, const Tensor& v, const Tensor& alpha, const Tensor& s) { return alpha * x_t - s * v; }

Tensor denoised_from_flow(const Tensor& x_t, const Tensor& u, const Tensor& t) { return x_t - t * u; }

Tensor denoised_from_score(const Tensor& x_t, const Tensor& score, const Tensor& alpha, const Tensor& s) {
  return (x_t + s.square() * score) / alpha;
}

Tensor denoised_from_edm(const Tensor& x, const Tensor& raw, const Tensor& sigma, double sigma_data) {
  const auto c = edm_preconditioning(sigma, sigma_data);
  return c.c_skip * x + c.c_out * raw;
}

double encode_time(const TimeEncoding& time, const Schedule& schedule, double sigma) {
  const auto own_time = [&] {
    switch (time.kind) {
      case Time::log_sigma:
        return std::log(sigma);
      case Time::c_noise:
        return std::log(sigma) / 4;
      case Time::t: {
        const double t = schedule.time_of(sigma);
        return time.flip ? 1 - t : t;
      }
      case Time::step: {
        const double step = time.integer ? std::round(schedule.time_of(sigma)) : schedule.time_of(sigma);
        return time.flip ? static_cast<double>(schedule.steps - 1) - step : step;
      }
      case Time::sigma:
        break;
    }
    return sigma;
  };
  const double scaled = time.scale * own_time();
  return time.integer ? std::round(scaled) : scaled;
}

Levels levels_of(Scaling scaling, const Tensor& sigma) {
  const Tensor alpha = each(sigma, [&](double level) { return alpha_of(scaling, level); });
  const Tensor s = each(sigma, [&](double level) { return level * alpha_of(scaling, level); });
  return {sigma, alpha.to(sigma.options()), s.to(sigma.options())};
}

Tensor network_input(const Parametrisation& p, const Tensor& x, const Levels& levels) {
  switch (p.input) {
    case Input::x_t:
      return levels.alpha * x;
    case Input::c_in_x:
      return edm_preconditioning(levels.sigma, p.sigma_data).c_in * x;
    case Input::x:
      break;
  }
  return x;
}

Tensor network_time(const Parametrisation& p, const Tensor& sigma) {
  const Tensor times = each(sigma.flatten(), [&](double level) { return encode_time(p.time, p.schedule, level); });
  return times.to(sigma.device(), p.time.integer ? torch::kInt64 : torch::kFloat32);
}

Tensor denoised_of(const Parametrisation& p, const Tensor& x, const Tensor& output, const Levels& levels) {
  const auto& [sigma, alpha, s] = levels;
  switch (p.prediction) {
    case Prediction::eps:
      return denoised_from_eps(x, output, sigma);
    case Prediction::v:
      return denoised_from_v(alpha * x, output, alpha, s);
    case Prediction::flow:  // s is its t; where time runs from noise to image, so does the velocity
      return denoised_from_flow(alpha * x, p.time.flip ? -output : output, s);
    case Prediction::score:
      return denoised_from_score(alpha * x, output, alpha, s);
    case Prediction::edm:
      return denoised_from_edm(x, output, sigma, p.sigma_data);
    case Prediction::x0:
      break;
  }
  return output;
}

}  // namespace headstart
