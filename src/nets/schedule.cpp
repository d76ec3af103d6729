#include "headstart/nets/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "headstart/error.h"

namespace headstart {

double StepTable::sigma_min() const { return std::exp(log_sigmas.front()); }
double StepTable::sigma_max() const { return std::exp(log_sigmas.back()); }

torch::Tensor StepTable::step_of(const torch::Tensor& sigma) const {
  const torch::Tensor levels = sigma.to(torch::kCPU, torch::kFloat64).contiguous();
  torch::Tensor steps = torch::empty_like(levels);
  // A caller's sigma went through float32, so the ends of the range are met only to its precision.
  constexpr double kSlack = 1e-6;
  for (std::int64_t i = 0; i < levels.numel(); ++i) {
    const double log_sigma = std::log(levels.data_ptr<double>()[i]);
    if (!(log_sigma >= log_sigmas.front() - kSlack && log_sigma <= log_sigmas.back() + kSlack))
      throw InvalidArgument(fmt::format("[StepTable::step_of] expected sigma in the network's range [{:.6g}, {:.6g}], got {:.6g}",
                                        sigma_min(), sigma_max(), std::exp(log_sigma)));
    const auto above = std::upper_bound(log_sigmas.begin() + 1, log_sigmas.end() - 1, log_sigma);
    const double low = *(above - 1), high = *above;
    const double step = static_cast<double>(above - 1 - log_sigmas.begin()) + (log_sigma - low) / (high - low);
    steps.data_ptr<double>()[i] = std::clamp(step, 0.0, static_cast<double>(log_sigmas.size() - 1));
  }
  return steps;
}

StepTable vp_linear(double beta_start, double beta_end, std::int64_t steps) {
  if (!(beta_start > 0 && beta_end >= beta_start && beta_end < 1) || steps < 2)
    throw InvalidArgument(
        fmt::format("[vp_linear] expected 0 < beta_start <= beta_end < 1 and steps >= 2, got {}, {}, {}", beta_start, beta_end, steps));
  StepTable table;
  double log_alphas_cumprod = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    const double beta = beta_start + (beta_end - beta_start) * static_cast<double>(i) / static_cast<double>(steps - 1);
    log_alphas_cumprod += std::log1p(-beta);
    table.log_sigmas.push_back(0.5 * (std::log(-std::expm1(log_alphas_cumprod)) - log_alphas_cumprod));
  }
  return table;
}

}  // namespace headstart
