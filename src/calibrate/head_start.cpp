#include "headstart/calibrate/head_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "headstart/core/parallel.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using torch::Tensor;

std::vector<double> scaled(std::vector<double> levels, double unit) {
  for (double& level : levels) level *= unit;
  return levels;
}

}  // namespace

std::vector<double> jumps_to_try(double unit) { return scaled({40, 28, 20, 14, 10, 7, 5, 3.5, 2.5}, unit); }

std::vector<double> switches_to_try(double unit) { return scaled({1, 0.5, 2}, unit); }

std::vector<double> crossing_levels(double sigma_min, double sigma_max, double unit) {
  const double first = std::min(80 * unit, sigma_max);
  return spaced_sigmas(log_spacing(), {.steps = 20, .sigma_min = std::max(first / 80, sigma_min), .sigma_max = first, .final_zero = false});
}

Crossing find_crossing(const Denoiser& network, const Denoiser& closed_form, const Tensor& points, const Tensor& noise,
                       const std::vector<double>& levels) {
  if (points.size(0) < 2) throw InvalidArgument(fmt::format("[find_crossing] expected at least two points, got {}", points.size(0)));
  const auto error = [&](const Denoiser& denoiser, double sigma) {
    return (MicroBatched(denoiser).denoise(points + sigma * noise, sigma) - points).square().mean(1);
  };
  Crossing crossing;
  for (int lost = 0; const double sigma : levels) {
    const Tensor theirs = error(network, sigma), ours = error(closed_form, sigma), worse = ours - theirs;
    const double margin = 2 * worse.std().item<double>() / std::sqrt(static_cast<double>(points.size(0)));
    const bool as_good = worse.mean().item<double>() <= margin;
    crossing.errors.push_back(
        {.sigma = sigma, .network = theirs.mean().item<double>(), .closed_form = ours.mean().item<double>(), .as_good = as_good});
    if (as_good && lost == 0) crossing.sigma = sigma;
    if (!as_good && ++lost == 2) break;
  }
  return crossing;
}

Choice choose_head_start(const Tensor& reference, const Candidates& candidates, const std::function<Tensor(const HeadStart&)>& draw) {
  Choice choice;
  const auto attempt = [&](const HeadStart& start) {
    if (std::ranges::find(choice.trials, start, &Trial::start) != choice.trials.end()) return;
    const Tensor off = draw(start) - reference;
    const double error = on_one_thread([&] { return off.square().mean().sqrt(); }).item<double>();
    choice.trials.push_back({.start = start, .error = std::isfinite(error) ? error : std::numeric_limits<double>::infinity()});
  };
  const auto best = [&] {
    const double least = std::ranges::min(choice.trials, {}, &Trial::error).error;
    return std::ranges::find_if(choice.trials, [&](const Trial& trial) { return trial.error <= kAsGood * least; })->start;
  };

  attempt(candidates.given);
  HeadStart start = candidates.given;
  if (!candidates.switches.empty()) start.sigma_c = candidates.switches.front();
  for (const double skip : candidates.skips) attempt({.sigma_skip = skip, .sigma_c = start.sigma_c});
  start.sigma_skip = best().sigma_skip;
  for (const double level : candidates.switches) attempt({.sigma_skip = start.sigma_skip, .sigma_c = level});
  if (!candidates.switches.empty()) attempt({.sigma_skip = start.sigma_skip, .sigma_c = {}});
  choice.best = best();
  return choice;
}

}  // namespace headstart
