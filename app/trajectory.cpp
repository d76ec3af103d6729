#include "headstart/metrics/trajectory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cli.h"
#include "data_tensors.h"
#include "headstart/data/atomic_file.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "path.h"
#include "ranges.h"
#include "sampling.h"
#include "version.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;
using torch::Tensor;

struct Options {
  std::string network, stats, seeds = "0-63", out;
  std::int64_t steps = 18, modes = 32, kick_seeds = 16, jacobian_modes = 8;
  std::vector<std::int64_t> kick_modes{0, 1, 4, 15};
  std::vector<double> kick_sigmas{40, 10, 3, 1}, jacobian_sigmas{20, 5, 2, 1, 0.5};
  double kick_size = 0.3;
};

ordered_json list_of(const Tensor& values) {
  ordered_json list = ordered_json::array();
  for (const double value : to_vector(values)) list.push_back(number_or_null(value));
  return list;
}

void check(const Options& o, const GaussianStats& stats) {
  const auto require = [](bool fine, const std::string& what) {
    if (!fine) throw InvalidArgument(what);
  };
  require(o.modes >= 1 && o.modes <= stats.rank(),
          fmt::format("--modes: expected 1 to {}, the rank of {}, got {}", stats.rank(), o.stats, o.modes));
  require(o.jacobian_modes >= 1 && o.jacobian_modes <= stats.rank(),
          fmt::format("--jacobian_modes: expected 1 to {}, the rank of {}, got {}", stats.rank(), o.stats, o.jacobian_modes));
  for (const auto mode : o.kick_modes)
    require(mode >= 0 && mode < stats.rank(), fmt::format("--kick_modes: expected 0 to {}, got {}", stats.rank() - 1, mode));
  require(o.kick_size > 0, fmt::format("--kick_size: expected a number > 0, got {}", o.kick_size));
  require(o.kick_seeds >= 1, fmt::format("--kick_seeds: expected at least 1, got {}", o.kick_seeds));
}

/// The first level of the path at or below each wanted one; those below the last positive level are left out.
std::vector<std::size_t> levels_at(const std::vector<double>& sigmas, const std::vector<double>& wanted) {
  std::vector<std::size_t> levels;
  for (const double sigma : wanted) {
    const auto found = std::ranges::find_if(sigmas, [&](double level) { return level <= sigma; });
    if (found == sigmas.end() || *found <= 0) continue;
    const auto level = static_cast<std::size_t>(found - sigmas.begin());
    if (std::ranges::find(levels, level) == levels.end()) levels.push_back(level);
  }
  return levels;
}

ordered_json kicks(const Options& o, const Denoiser& network, const GaussianStats& stats, const Path& path,
                   const std::function<void()>& tick) {
  ordered_json rows = ordered_json::array();
  const std::int64_t seeds = std::min<std::int64_t>(o.kick_seeds, static_cast<std::int64_t>(path.seeds.size()));
  for (const std::size_t level : levels_at(path.sigmas, o.kick_sigmas)) {
    const double sigma = path.sigmas[level];
    const Tensor states = path.states.select(1, static_cast<std::int64_t>(level)).narrow(0, 0, seeds).to(torch::kFloat64);
    const std::vector<double> rest(path.sigmas.begin() + static_cast<std::ptrdiff_t>(level), path.sigmas.end());
    for (const auto mode : o.kick_modes) {
      const double lambda = stats.eigenvalues[mode].item<double>();
      const double size = o.kick_size * std::sqrt(lambda + sigma * sigma);  // of what the state's coordinate itself spreads
      const Tensor response = kick_response(network, stats, states, rest, {.mode = mode, .size = size});
      rows.push_back({{"mode", mode},
                      {"sigma", sigma},
                      {"size", size},
                      {"measured", response.mean().item<double>()},
                      {"std", seeds > 1 ? response.std().item<double>() : 0.0},
                      {"predicted", predicted_kick_response(lambda, sigma)}});
      tick();
    }
  }
  return rows;
}

ordered_json jacobians(const Options& o, const Denoiser& network, const GaussianStats& stats, const Path& path,
                       const std::function<void()>& tick) {
  ordered_json rows = ordered_json::array();
  const Tensor leading = stats.basis.narrow(1, 0, o.jacobian_modes), lambda = stats.eigenvalues.narrow(0, 0, o.jacobian_modes);
  for (const std::size_t level : levels_at(path.sigmas, o.jacobian_sigmas)) {
    const double sigma = path.sigmas[level];
    const Tensor x = path.states.select(1, static_cast<std::int64_t>(level))[0];
    const JacobianModes found = jacobian_modes(network, x, sigma, {.modes = o.jacobian_modes});
    rows.push_back({{"sigma", sigma},
                    {"eigenvalues", list_of(found.eigenvalues)},
                    {"predicted", list_of(lambda / (lambda + sigma * sigma))},
                    {"overlap", subspace_overlap(found.basis, leading)}});
    tick();
  }
  return rows;
}

ordered_json trajectory_verb(const Options& o, const Cli& cli) {
  require_folder_of(o.out);
  const double start = now();
  const Model model = open_network_model(o.network, {.device = cli.device});
  const GaussianStats found = load_stats(o.stats), stats = fitted_to(model, "--stats", found);
  check(o, stats);
  SamplingOptions s;
  s.seeds = parse_seeds(o.seeds);
  s.seeds_text = o.seeds;
  s.karras = {.steps = o.steps, .sigma_min = std::max(0.002, model.sigma_min), .sigma_max = std::min(80.0, model.sigma_max)};
  const SamplingPlan plan = plan_sampling(s, model);

  const auto total = static_cast<std::int64_t>(1 + o.kick_sigmas.size() * o.kick_modes.size() + o.jacobian_sigmas.size());
  Progress progress(cli, "trajectory", total, "parts");
  std::int64_t done = 0;
  const auto tick = [&] {
    progress.update(++done);
    stop_if_interrupted();
  };
  const Path path = record_path(model, s, plan, s.seeds);
  tick();
  const RecordedPaths paths{path.sigmas, path.states, path.denoised};
  const PathAgreement agreement = path_agreement(stats, paths, o.modes);

  ordered_json json;
  json["format"] = "headstart-trajectory";
  json["program"] = version();
  json["command"] = command_line();
  json["network"] = o.network;
  json["network_sha256"] = model.sha256;
  json["stats"] = o.stats;
  json["stats_sha256"] = sha256_file(o.stats);
  json["stats_range"] = {found.range_low, found.range_high};
  json["seeds"] = o.seeds;
  json["steps"] = o.steps;
  json["sigmas"] = path.sigmas;
  json["state_residual"] = list_of(agreement.state);
  json["denoised_residual"] = list_of(agreement.denoised);
  json["eigenvalues"] = list_of(stats.eigenvalues.narrow(0, 0, o.modes));
  ordered_json modes = ordered_json::array();
  for (std::int64_t i = 0; i < agreement.modes.size(0); ++i) modes.push_back(list_of(agreement.modes[i]));
  json["mode_explained"] = modes;
  json["path_directions"] = list_of(path_directions(path.states, 5));
  json["denoised_directions"] = list_of(path_directions(path.denoised, 5));
  json["decided"] = list_of(decided_levels(stats, paths, o.modes));
  json["decided_predicted"] = list_of(stats.eigenvalues.narrow(0, 0, o.modes).sqrt());
  json["kicks"] = kicks(o, *model.denoiser, stats, path, tick);
  json["jacobian"] = jacobians(o, *model.denoiser, stats, path, tick);
  json["seconds"] = now() - start;
  write_file_atomically(o.out, json.dump(1) + "\n");
  const auto directions = json["path_directions"];
  say(cli, fmt::format("{}: {} seeds, {} levels; {:.2f} % of a path lies in its first two directions", o.out, s.seeds.size(),
                       path.sigmas.size(), 100 * directions[1].get<double>()));
  return json;
}

}  // namespace

void add_trajectory(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "trajectory", "A network's sampling paths beside the Gaussian's from the same noise.",
                        [o](const Cli& c) { return trajectory_verb(*o, c); });
  verb->add_option("--network", o->network, "a trained network")->required();
  verb->add_option("--stats", o->stats, "the Gaussian to compare with")->required();
  verb->add_option("--seeds", o->seeds, "one path a seed")->capture_default_str();
  verb->add_option("--steps", o->steps, "grid points of Heun's method, a final 0 not counted")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--modes", o->modes, "leading eigenmodes to follow")->capture_default_str();
  verb->add_option("--kick_modes", o->kick_modes, "eigenmodes along which states are kicked")->delimiter(',')->capture_default_str();
  verb->add_option("--kick_sigmas", o->kick_sigmas, "levels at which they are (the grid's next below)")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--kick_size", o->kick_size, "in units of sqrt(eigenvalue + sigma^2)")->capture_default_str();
  verb->add_option("--kick_seeds", o->kick_seeds, "the first so many seeds are kicked")->capture_default_str();
  verb->add_option("--jacobian_sigmas", o->jacobian_sigmas, "levels at which the first seed's Jacobian is taken")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--jacobian_modes", o->jacobian_modes, "its leading eigenvectors")->capture_default_str();
  verb->add_option("--out", o->out, "JSON file to write")->required();
}

}  // namespace headstart::app
