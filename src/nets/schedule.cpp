#include "headstart/nets/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "headstart/error.h"

namespace headstart {
namespace {

constexpr double kFirst = 1e-3, kLast = 1 - 1e-3;  // times between which continuous schedules are usually trained
constexpr std::int64_t kMostSteps = 1'000'000;

void require_steps(const char* function, std::int64_t steps) {
  if (steps < 2 || steps > kMostSteps)
    throw InvalidArgument(fmt::format("[{}] expected 2 to {} steps, got {}", function, kMostSteps, steps));
}

/// ln sigma of ln alpha^2: sigma^2 = (1 - alpha^2) / alpha^2, without the cancellation where alpha is near 1.
double log_sigma_of(double log_alpha2) { return 0.5 * (std::log(-std::expm1(log_alpha2)) - log_alpha2); }

/// The cosine schedule's angle: alpha = cos(angle) / cos(angle at t = 0).
double cosine_angle(double s, double t) { return std::numbers::pi / 2 * (t + s) / (1 + s); }

void require_cosine(const char* function, double s) {
  if (!(s >= 0 && s <= 1)) throw InvalidArgument(fmt::format("[{}] expected 0 <= s <= 1, got {}", function, s));
}

void require_ve(const char* function, double sigma_min, double sigma_max) {
  if (!(sigma_min > 0 && sigma_min < sigma_max && std::isfinite(sigma_max)))
    throw InvalidArgument(fmt::format("[{}] expected 0 < sigma_min < sigma_max, got {}, {}", function, sigma_min, sigma_max));
}

}  // namespace

double alpha_of(Scaling scaling, double sigma) {
  switch (scaling) {
    case Scaling::preserving:
      return 1 / std::hypot(1.0, sigma);
    case Scaling::interpolating:
      return 1 / (1 + sigma);
    case Scaling::none:
      break;
  }
  return 1;
}

double Schedule::time_of(double sigma) const {
  constexpr double kSlack = 1e-6;  // the ends went through text and float32
  if (!(sigma > 0 && std::isfinite(sigma) && sigma >= lowest * (1 - kSlack) && sigma <= highest * (1 + kSlack)))
    throw InvalidArgument(
        fmt::format("[Schedule::time_of] expected sigma in the schedule's range [{:.6g}, {:.6g}], got {:.6g}", lowest, highest, sigma));
  return to_time(std::clamp(sigma, lowest, highest));
}

Schedule sigma_schedule() {
  return {.to_sigma = [](double t) { return t; }, .to_time = [](double sigma) { return sigma; }};
}

Schedule ve(double sigma_min, double sigma_max) {
  require_ve("ve", sigma_min, sigma_max);
  const double log_ratio = std::log(sigma_max / sigma_min);
  return {.sigma_min = sigma_min,
          .sigma_max = sigma_max,
          .lowest = sigma_min,
          .highest = sigma_max,
          .to_sigma = [=](double t) { return sigma_min * std::exp(t * log_ratio); },
          .to_time = [=](double sigma) { return std::log(sigma / sigma_min) / log_ratio; }};
}

Schedule vp_continuous(double beta_min, double beta_max) {
  if (!(beta_min > 0 && beta_min <= beta_max && beta_max <= 1000))
    throw InvalidArgument(fmt::format("[vp_continuous] expected 0 < beta_min <= beta_max <= 1000, got {}, {}", beta_min, beta_max));
  const double slope = beta_max - beta_min;
  const auto to_sigma = [=](double t) { return std::sqrt(std::expm1(beta_min * t + slope * t * t / 2)); };
  // The root of slope t^2 / 2 + beta_min t = ln(1 + sigma^2), in the form that keeps its digits at small t.
  const auto to_time = [=](double sigma) {
    const double integral = std::log1p(sigma * sigma);
    return 2 * integral / (beta_min + std::sqrt(beta_min * beta_min + 2 * slope * integral));
  };
  return {.scaling = Scaling::preserving,
          .sigma_min = to_sigma(kFirst),
          .sigma_max = to_sigma(1),
          .highest = to_sigma(1),
          .to_sigma = to_sigma,
          .to_time = to_time};
}

Schedule cosine(double s) {
  require_cosine("cosine", s);
  const double start = cosine_angle(s, 0);
  // sigma^2 = (cos^2 start - cos^2 angle) / cos^2 angle as a product of sines, which does not cancel at small t.
  const auto to_sigma = [=](double t) {
    const double angle = cosine_angle(s, t);
    return std::sqrt(std::sin(angle - start) * std::sin(angle + start)) / std::cos(angle);
  };
  // tan^2 angle = (sigma^2 + sin^2 start) / cos^2 start
  const auto to_time = [=](double sigma) {
    const double angle = std::atan2(std::hypot(sigma, std::sin(start)), std::cos(start));
    return angle / (std::numbers::pi / 2) * (1 + s) - s;
  };
  return {.scaling = Scaling::preserving,
          .sigma_min = to_sigma(kFirst),
          .sigma_max = to_sigma(kLast),
          .to_sigma = to_sigma,
          .to_time = to_time};
}

Schedule flow_schedule() {
  const auto to_sigma = [](double t) { return t / (1 - t); };
  return {.scaling = Scaling::interpolating,
          .sigma_min = to_sigma(kFirst),
          .sigma_max = to_sigma(kLast),
          .to_sigma = to_sigma,
          .to_time = [](double sigma) { return sigma / (1 + sigma); }};
}

Schedule step_table(Scaling scaling, std::vector<double> log_sigmas) {
  const auto steps = static_cast<std::int64_t>(log_sigmas.size());
  require_steps("step_table", steps);
  const bool rises = std::adjacent_find(log_sigmas.begin(), log_sigmas.end(), std::not_fn(std::less<>())) == log_sigmas.end();
  const double low = std::exp(log_sigmas.front()), high = std::exp(log_sigmas.back());
  if (!rises || !(low > 0) || !std::isfinite(high))
    throw InvalidArgument("[step_table] expected finite sigmas that rise strictly with the step");
  return {.scaling = scaling,
          .sigma_min = low,
          .sigma_max = high,
          .lowest = low,
          .highest = high,
          .steps = steps,
          .to_sigma =
              [log_sigmas](double step) {
                const auto i = static_cast<std::size_t>(std::clamp(std::floor(step), 0.0, static_cast<double>(log_sigmas.size() - 2)));
                return std::exp(std::lerp(log_sigmas[i], log_sigmas[i + 1], step - static_cast<double>(i)));
              },
          .to_time =
              [log_sigmas](double sigma) {
                const double level = std::log(sigma);
                const auto above = std::upper_bound(log_sigmas.begin() + 1, log_sigmas.end() - 1, level), below = above - 1;
                const double step = static_cast<double>(below - log_sigmas.begin()) + (level - *below) / (*above - *below);
                return std::clamp(step, 0.0, static_cast<double>(log_sigmas.size() - 1));
              }};
}

Schedule ve_steps(double sigma_min, double sigma_max, std::int64_t steps) {
  require_ve("ve_steps", sigma_min, sigma_max);
  require_steps("ve_steps", steps);
  std::vector<double> log_sigmas;
  for (std::int64_t i = 0; i < steps; ++i)
    log_sigmas.push_back(std::lerp(std::log(sigma_min), std::log(sigma_max), static_cast<double>(i) / static_cast<double>(steps - 1)));
  return step_table(Scaling::none, std::move(log_sigmas));
}

Schedule betas_table(const std::vector<double>& betas) {
  double log_alpha2 = 0;
  std::vector<double> log_sigmas;
  for (const double beta : betas) {
    if (!(beta > 0 && beta < 1))
      throw InvalidArgument(fmt::format("[betas_table] expected 0 < beta < 1 (a beta of 1 leaves no image: leave it out), got {}", beta));
    log_sigmas.push_back(log_sigma_of(log_alpha2 += std::log1p(-beta)));
  }
  return step_table(Scaling::preserving, std::move(log_sigmas));
}

Schedule alphas_cumprod_table(const std::vector<double>& alphas_cumprod) {
  double previous = 1;
  std::vector<double> log_sigmas;
  for (const double alpha2 : alphas_cumprod) {
    if (!(alpha2 > 0 && alpha2 < previous))
      throw InvalidArgument(
          fmt::format("[alphas_cumprod_table] expected values that descend strictly inside (0, 1) (at 0 there is no image: leave it out), "
                      "got {} after {}",
                      alpha2, previous));
    log_sigmas.push_back(log_sigma_of(std::log(previous = alpha2)));
  }
  return step_table(Scaling::preserving, std::move(log_sigmas));
}

Schedule vp_linear(double beta_start, double beta_end, std::int64_t steps) {
  if (!(beta_start > 0 && beta_end >= beta_start && beta_end < 1))
    throw InvalidArgument(fmt::format("[vp_linear] expected 0 < beta_start <= beta_end < 1, got {}, {}", beta_start, beta_end));
  require_steps("vp_linear", steps);
  std::vector<double> betas;
  for (std::int64_t i = 0; i < steps; ++i)
    betas.push_back(std::lerp(beta_start, beta_end, static_cast<double>(i) / static_cast<double>(steps - 1)));
  return betas_table(betas);
}

Schedule cosine_steps(double s, std::int64_t steps) {
  require_cosine("cosine_steps", s);
  require_steps("cosine_steps", steps);
  const auto alpha = [=](std::int64_t i) { return std::cos(cosine_angle(s, static_cast<double>(i) / static_cast<double>(steps))); };
  std::vector<double> betas;
  for (std::int64_t i = 0; i < steps; ++i) {
    const double ratio = alpha(i + 1) / alpha(i);
    betas.push_back(std::min(1 - ratio * ratio, 0.999));  // the clip keeps the last step, where alpha is 0, finite
  }
  return betas_table(betas);
}

}  // namespace headstart
