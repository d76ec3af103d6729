#include "headstart/calibrate/head_start.h"

#include <algorithm>
#include <cmath>

namespace headstart {

using torch::Tensor;

Crossing find_crossing(const Denoiser& network, const Denoiser& closed_form, const Tensor& points, const Tensor& noise,
                       const std::vector<double>& levels) {
  const auto error = [&](const Denoiser& denoiser, double sigma) {
    return (denoiser.denoise(points + sigma * noise, sigma) - points).square().mean(1);
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
    choice.trials.push_back({.start = start, .error = (draw(start) - reference).square().mean().sqrt().item<double>()});
  };
  const auto best = [&] {
    const double least = std::ranges::min(choice.trials, {}, &Trial::error).error;
    return std::ranges::find_if(choice.trials, [&](const Trial& trial) { return trial.error <= kAsGood * least; })->start;
  };

  attempt(candidates.given);
  HeadStart start = candidates.given;
  if (!candidates.switches.empty()) start.sigma_c = candidates.switches.front();
  if (candidates.skips.empty() && start.sigma_c != candidates.given.sigma_c) attempt(start);
  for (const double skip : candidates.skips) attempt({.sigma_skip = skip, .sigma_c = start.sigma_c});
  if (!candidates.skips.empty()) start.sigma_skip = best().sigma_skip;
  for (std::size_t i = 1; i < candidates.switches.size(); ++i) attempt({.sigma_skip = start.sigma_skip, .sigma_c = candidates.switches[i]});
  choice.best = best();
  return choice;
}

}  // namespace headstart
