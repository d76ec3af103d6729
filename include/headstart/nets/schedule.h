#pragma once
// Noise schedules: the sigma that a network's own time means, and back. Plain numbers; tensors come in with parametrisation.h.

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace headstart {

/// How the clean image fades in x_t = alpha x0 + s n. Since sigma = s / alpha, alpha is a function of sigma alone.
enum class Scaling {
  none,           ///< alpha = 1: EDM (arXiv 2206.00364) and variance-exploding processes (2011.13456)
  preserving,     ///< alpha^2 + s^2 = 1: DDPM (2006.11239) and every other variance-preserving process
  interpolating,  ///< alpha + s = 1: rectified flow (2209.03003)
};

/// alpha where s / alpha = sigma.
double alpha_of(Scaling scaling, double sigma);

/// A rising map between the time of a schedule and sigma. Time is the index 0, 1, ... of a table, or continuous and 0 where the image is
/// clean.
struct Schedule {
  Scaling scaling = Scaling::none;
  double sigma_min = 0.002, sigma_max = 80;  ///< levels that networks on this schedule are trained on, unless they say otherwise
  double lowest = 0, highest = std::numeric_limits<double>::infinity();  ///< levels outside of which there is no time
  std::int64_t steps = 0;                                                ///< of a table; 0: continuous
  std::function<double(double)> to_sigma, to_time;                       ///< inverses of each other; unchecked

  /// The time of a level; fractional between the steps of a table.
  /// @throws InvalidArgument where sigma is not in [lowest, highest] (up to a float32's rounding)
  double time_of(double sigma) const;
};

/// Time is sigma itself (arXiv 2206.00364).
Schedule sigma_schedule();

/// sigma = sigma_min (sigma_max / sigma_min)^t, t in [0, 1] (VE of arXiv 2011.13456). @throws InvalidArgument unless 0 < sigma_min <
/// sigma_max
Schedule ve(double sigma_min, double sigma_max);

/// beta(t) = beta_min + (beta_max - beta_min) t, t in (0, 1]: sigma^2 = exp(beta_min t + (beta_max - beta_min) t^2 / 2) - 1 (VP of arXiv
/// 2011.13456). Usually used from t = 0.001 on. @throws InvalidArgument unless 0 < beta_min <= beta_max <= 1000
Schedule vp_continuous(double beta_min, double beta_max);

/// alpha^2 = f(t) / f(0), f(t) = cos^2(pi/2 (t + s) / (1 + s)), t in (0, 1) (arXiv 2102.09672; s = 0 in 2202.00512). Usually used from t =
/// 0.001 to 0.999. @throws InvalidArgument unless 0 <= s <= 1
Schedule cosine(double s);

/// sigma = t / (1 - t), t in (0, 1) (arXiv 2209.03003). Usually used from t = 0.001 to 0.999.
Schedule flow_schedule();

/// Steps 0, 1, ... with these levels, linear in ln sigma between them.
/// @param log_sigmas  2 to 1,000,000 finite values, strictly ascending
/// @throws InvalidArgument where they are not
Schedule step_table(Scaling scaling, std::vector<double> log_sigmas);

/// `steps` levels, ve's at t = i / (steps - 1). @throws InvalidArgument as ve and step_table
Schedule ve_steps(double sigma_min, double sigma_max, std::int64_t steps);

/// alpha_i^2 = (1 - beta_0) ... (1 - beta_i) (arXiv 2006.11239). @throws InvalidArgument unless all are in (0, 1), and as step_table
Schedule betas_table(const std::vector<double>& betas);

/// alpha_i^2 itself. @throws InvalidArgument unless strictly descending in (0, 1), and as step_table
Schedule alphas_cumprod_table(const std::vector<double>& alphas_cumprod);

/// betas_table of betas that rise linearly from beta_start to beta_end (arXiv 2006.11239). @throws InvalidArgument unless 0 < beta_start <=
/// beta_end < 1, and as step_table
Schedule vp_linear(double beta_start, double beta_end, std::int64_t steps);

/// betas_table of beta_i = min(1 - f((i + 1) / steps) / f(i / steps), 0.999) with cosine's f (arXiv 2102.09672, eq. 17). @throws
/// InvalidArgument as cosine and step_table
Schedule cosine_steps(double s, std::int64_t steps);

}  // namespace headstart
