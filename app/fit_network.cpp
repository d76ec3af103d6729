#include "fit_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <vector>

#include "data_tensors.h"
#include "headstart/calibrate/optimised_grid.h"
#include "headstart/calibrate/v3_statistics.h"
#include "headstart/denoise/counted.h"
#include "headstart/error.h"
#include "headstart/nets/network.h"
#include "headstart/solve/noise.h"
#include "headstart/solve/sigmas.h"
#include "ranges.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;

constexpr std::int64_t kDefaultRank = 64;
constexpr std::int64_t kGridPaths = 64, kGridLevels = 64;

/// Noise of seeds that nobody samples with, so that what is learnt from them can be judged on others.
torch::Tensor calibration_noise(std::uint64_t seed, std::int64_t count, const ImageShape& shape) {
  constexpr std::int64_t kFirst = 1LL << 30;
  std::vector<std::int64_t> seeds(static_cast<std::size_t>(count));
  std::iota(seeds.begin(), seeds.end(), kFirst + static_cast<std::int64_t>(seed % kFirst) * count);  // none of another seed's
  return noise_of(seeds, shape);
}

ordered_json write_gaussian(const FromNetwork& o, const FromNetworkCommon& common, const Network& network, const Cli& cli) {
  const NetworkInfo& info = network.info();
  NetworkGaussianOptions options = o.gaussian;
  options.rank = common.rank > 0 ? common.rank : std::min(kDefaultRank, network.dim());
  options.seed = common.seed;
  options.mean_tail = common.mean_tail;
  options.sigma = o.sigma.value_or(std::min(options.sigma, info.sigma_max / 2));
  const double start = now();
  std::unique_ptr<Progress> bar;
  options.on_progress = [&](std::int64_t done, std::int64_t total) {
    if (!bar) bar = std::make_unique<Progress>(cli, "fitting", total, "evaluations");
    bar->update(done);
    stop_if_interrupted();
  };
  NetworkGaussianFit fit = fit_network_gaussian(network, options);
  bar.reset();
  GaussianStats& stats = fit.stats;
  stats.shape = info.shape;
  stats.range_low = info.range_low;
  stats.range_high = info.range_high;
  stats.network_sha256 = info.sha256;
  save_stats(common.out, stats);

  ordered_json json;
  json["out"] = common.out;
  json["count"] = nullptr;
  json["dim"] = stats.dim();
  json["rank"] = stats.rank();
  json["trace"] = stats.trace();
  json["energy"] = options.mean_tail ? number_or_null(stats.energy()) : nullptr;
  json["tail"] = stats.tail;
  json["components"] = 1;
  json["log_likelihood"] = nullptr;
  json["method"] = "network";
  json["sigma"] = options.sigma;
  json["passes"] = options.passes;
  json["asymmetry"] = fit.asymmetry;
  json["nfe"] = fit.nfe;
  json["seconds"] = now() - start;
  say(cli, fmt::format("{}: Gaussian of {} in {} dimensions, rank {}, trace {:.4g}, tail {:.3g}, {} evaluations, {:.1f} s", common.out,
                       info.path, stats.dim(), stats.rank(), stats.trace(), stats.tail, fit.nfe, json["seconds"].get<double>()));
  return json;
}

/// The first images of DATA in the network's range, [K, D] float64; nothing where there is no DATA.
torch::Tensor clean_points(const FromNetworkCommon& common, std::int64_t wanted, const std::shared_ptr<const Network>& network) {
  if (common.data.empty()) return {};
  const auto stream = open_data(common.data, common.as);
  if (stream->shape() != network->info().shape)
    throw InvalidArgument(fmt::format("{}: expected images of shape {} as in {}, got {}", common.data, to_string(network->info().shape),
                                      network->info().path, to_string(stream->shape())));
  const torch::Tensor images = read_images(*stream, wanted).flatten(1).to(torch::kFloat64);
  return as_data_of(model_of(network), common.data, *stream, images);
}

ordered_json write_v3(const FromNetwork& o, const FromNetworkCommon& common, const torch::Tensor& data, const Network& network,
                      const Cli& cli) {
  const NetworkInfo& info = network.info();
  Progress progress(cli, "measuring", o.v3_cells + 1, "levels");
  const V3EstimateOptions options{.cells = o.v3_cells,
                                  .sigma_min = std::max(V3EstimateOptions().sigma_min, info.sigma_min),
                                  .sigma_max = std::min(V3EstimateOptions().sigma_max, info.sigma_max),
                                  .seed = common.seed,
                                  .on_level = [&](std::int64_t done) {
                                    progress.update(done);
                                    stop_if_interrupted();
                                  }};
  const double start = now();
  const torch::Tensor noise = calibration_noise(common.seed, data.defined() ? data.size(0) : o.v3_points, info.shape);
  const Counted counted(network);
  V3Statistics v3 = data.defined() ? estimate_v3(counted, data, noise, options) : estimate_v3_on_paths(counted, noise, options);
  v3.network_sha256 = info.sha256;
  std::filesystem::create_directory(o.v3_folder);
  save_v3(o.v3_folder, v3, info.shape);

  ordered_json json;
  json["folder"] = o.v3_folder;
  json["data"] = common.data.empty() ? ordered_json(nullptr) : ordered_json(common.data);
  json["points"] = noise.size(0);
  json["levels"] = v3.l.size(0);
  json["sigma_min"] = v3.sigma_min;
  json["sigma_max"] = v3.sigma_max;
  json["nfe"] = counted.nfe() * noise.size(0);
  json["seconds"] = now() - start;
  say(cli, fmt::format("{}: statistics of {} at {} levels from {} {}, {} evaluations, {:.1f} s", o.v3_folder, info.path, v3.l.size(0),
                       noise.size(0), data.defined() ? "points of the data" : "paths", json["nfe"].get<std::int64_t>(),
                       json["seconds"].get<double>()));
  return json;
}

ordered_json write_grids(const FromNetwork& o, const FromNetworkCommon& common, const Network& network, const Cli& cli) {
  const NetworkInfo& info = network.info();
  const KarrasOptions range;
  const std::vector<double> levels = karras_sigmas({.steps = kGridLevels,
                                                    .sigma_min = std::max(range.sigma_min, info.sigma_min),
                                                    .sigma_max = std::min(range.sigma_max, info.sigma_max),
                                                    .final_zero = false});
  const double start = now();
  const Counted counted(network);
  const GridPaths paths = follow_paths(counted, levels.front() * calibration_noise(common.seed, kGridPaths, info.shape), levels);
  const GridFile file{.network_sha256 = info.sha256, .grids = optimised_grids(paths, o.grid_steps)};
  save_grids(o.grid_file, file);

  ordered_json json;
  json["file"] = o.grid_file;
  json["paths"] = kGridPaths;
  json["levels"] = kGridLevels;
  for (const auto& [steps, sigmas] : file.grids) json["sigmas"][std::to_string(steps)] = sigmas;
  json["nfe"] = counted.nfe() * kGridPaths;
  json["seconds"] = now() - start;
  say(cli, fmt::format("{}: grids of {} for {} numbers of steps, {} evaluations, {:.1f} s", o.grid_file, info.path, file.grids.size(),
                       json["nfe"].get<std::int64_t>(), json["seconds"].get<double>()));
  return json;
}

}  // namespace

void add_from_network_options(CLI::App& verb, FromNetwork& o) {
  CLI::Option* network = verb.add_option("--from_network", o.network, "a trained network, instead of data");
  CLI::Option* out = verb.get_option("--out");
  verb.add_option("--sigma", o.sigma,
                  "from a network: level of the first passes [40, or half the network's largest]; the last is at half of it")
      ->check(CLI::PositiveNumber)
      ->needs(network, out);
  verb.add_option("--passes", o.gaussian.passes, "from a network: passes of the subspace iteration")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str()
      ->needs(network, out);
  verb.add_option("--points", o.gaussian.points, "from a network: points its Jacobian is averaged over, even")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->needs(network, out);
  CLI::Option* v3 = verb.add_option("--dpm_v3", o.v3_folder,
                                    "from a network: folder to write the statistics of DPM-Solver-v3 to, from DATA or its own paths")
                        ->needs(network);
  verb.add_option("--v3_points", o.v3_points, "points they are averaged over")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str()
      ->needs(v3);
  verb.add_option("--v3_cells", o.v3_cells, "their number of levels, less one")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->needs(v3);
  CLI::Option* grids =
      verb.add_option("--grid_file", o.grid_file, "from a network: file to write optimised grids to, for sample --schedule optimised")
          ->needs(network);
  verb.add_option("--grid_steps", o.grid_steps, "their numbers of steps")->delimiter(',')->capture_default_str()->needs(grids);
}

ordered_json fit_from_network(const FromNetwork& o, const FromNetworkCommon& common, const Cli& cli) {
  if (common.out.empty() && o.v3_folder.empty() && o.grid_file.empty())
    throw InvalidArgument("--out: expected a statistics file to write, or --dpm_v3 or --grid_file");
  if (!common.data.empty() && o.v3_folder.empty())
    throw InvalidArgument("--from_network: expected without data, which only --dpm_v3 uses, got " + common.data);
  for (const auto& path : {common.out, o.v3_folder, o.grid_file})
    if (!path.empty()) require_folder_of(path);
  if (o.gaussian.points % 2 != 0) throw InvalidArgument(fmt::format("--points: expected an even number, got {}", o.gaussian.points));
  for (const auto steps : o.grid_steps)
    if (steps < 1 || steps > kGridLevels)
      throw InvalidArgument(fmt::format("--grid_steps: expected numbers from 1 to {}, got {}", kGridLevels, steps));
  if (!o.v3_folder.empty() && std::filesystem::exists(o.v3_folder) && !std::filesystem::is_directory(o.v3_folder))
    throw DataError(o.v3_folder, "is no folder; choose another --dpm_v3");
  const std::shared_ptr<const Network> network = load_network(o.network, {.device = cli.device});
  network->require_no_classes();
  if (common.rank > network->dim())
    throw InvalidArgument(fmt::format("--rank: expected at most D = {} for {}, got {}", network->dim(), o.network, common.rank));
  if (o.sigma.value_or(0) > network->info().sigma_max)
    throw InvalidArgument(fmt::format("--sigma: expected at most {}, the largest level {} was trained on, got {}",
                                      network->info().sigma_max, o.network, *o.sigma));
  const torch::Tensor data = clean_points(common, o.v3_points, network);
  ordered_json json = common.out.empty() ? ordered_json::object() : write_gaussian(o, common, *network, cli);
  if (!o.v3_folder.empty()) json["dpm_v3"] = write_v3(o, common, data, *network, cli);
  if (!o.grid_file.empty()) json["grids"] = write_grids(o, common, *network, cli);
  return json;
}

}  // namespace headstart::app
