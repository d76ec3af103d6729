#include "headstart/flow/teleport.h"

#include <fmt/format.h>

#include <algorithm>

#include "headstart/denoise/denoiser.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"

namespace headstart {

TeleportMode parse_teleport_mode(const std::string& name) {
  if (name == "tail") return TeleportMode::tail;
  if (name == "respaced") return TeleportMode::respaced;
  throw InvalidArgument("--teleport_mode: expected one of tail, respaced, got " + name);
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

}  // namespace headstart
