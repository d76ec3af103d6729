#include "headstart/flow/teleport.h"

#include <fmt/format.h>

#include <algorithm>

#include "headstart/denoise/denoiser.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"

namespace headstart {

TeleportMode parse_teleport_mode(const std::string& name) {
  for (const auto mode : {TeleportMode::tail, TeleportMode::respaced, TeleportMode::replace})
    if (name == to_string(mode)) return mode;
  throw InvalidArgument("--teleport_mode: expected one of tail, respaced, replace, got " + name);
}

std::string to_string(TeleportMode mode) {
  return mode == TeleportMode::tail ? "tail" : mode == TeleportMode::respaced ? "respaced" : "replace";
}

std::vector<double> tail_of(const std::vector<double>& grid, double sigma) {
  const auto first = std::find_if(grid.begin(), grid.end(), [&](double level) { return level <= sigma; });
  if (first == grid.end() || *first <= 0)
    throw InvalidArgument(fmt::format("[tail_of] expected a level of the grid in (0, {}] to teleport to, but the grid has none", sigma));
  return {first, grid.end()};
}

torch::Tensor teleport(const GaussianStats& stats, const torch::Tensor& x, double sigma_max, double sigma_skip) {
  require_points("teleport", x, stats.dim());
  const GaussianStats here = stats.to(x.options());
  return in_micro_batches(x, [&](const torch::Tensor& rows) { return gaussian_flow(here, rows, {.from = sigma_max, .to = sigma_skip}); });
}

torch::Tensor stochastic_teleport(const GaussianStats& stats, const torch::Tensor& x, const SigmaStep& step, const torch::Tensor& noise) {
  require_points("stochastic_teleport", x, stats.dim());
  require_points("stochastic_teleport", noise, stats.dim());
  const GaussianStats here = stats.to(x.options());
  return in_micro_batches(x, noise.to(x.options()), [&](const torch::Tensor& rows, const torch::Tensor& theirs) {
    return stochastic_jump(here, rows, step, theirs);
  });
}

}  // namespace headstart
