#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli.h"
#include "comparison.h"
#include "data_tensors.h"
#include "denoisers.h"
#include "headstart/data/atomic_file.h"
#include "headstart/data/sha256.h"
#include "headstart/denoise/rescaled.h"
#include "headstart/error.h"
#include "headstart/nets/network.h"
#include "ranges.h"
#include "version.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::vector<std::string> networks, stats;
  std::string data, held_out, out;
  std::vector<std::int64_t> ranks;
  std::vector<double> sigmas{0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 40, 80};
  std::int64_t samples = 1024, modes = 64, seed = 0;
  bool exact = false, isotropic = false;
};

/// "gaussian" for "out/gaussian.safetensors"; equal stems are told apart by their paths.
std::string name_of(const std::string& path, const std::vector<std::string>& all) {
  const auto stem = [](const std::string& p) { return std::filesystem::path(p).stem().string(); };
  return std::ranges::count(all, stem(path), stem) > 1 ? path : stem(path);
}

std::string csv_of(const ordered_json& rows) {
  std::string text;
  for (const auto& row : rows) {
    std::vector<std::string> names, values;
    for (const auto& [name, value] : row.items()) {
      if (value.is_array()) continue;  // the eigenmodes are in the JSON form
      names.push_back(name);
      values.push_back(value.is_string() ? '"' + value.get<std::string>() + '"' : value.is_null() ? "" : value.dump());
    }
    if (text.empty()) text = fmt::format("{}\n", fmt::join(names, ","));
    text += fmt::format("{}\n", fmt::join(values, ","));
  }
  return text;
}

void check(const Options& o) {
  if (o.samples < 2) throw InvalidArgument(fmt::format("--samples: expected at least 2, got {}", o.samples));
  require_levels("--sigmas", o.sigmas);
  if (!o.out.ends_with(".json") && !o.out.ends_with(".csv"))
    throw InvalidArgument("--out: expected a name ending in .json or .csv, got " + o.out);
  if (o.stats.empty() && !o.exact) throw InvalidArgument("compare: expected --stats or --exact, something to compare the network with");
  if ((o.isotropic || !o.ranks.empty()) && o.stats.empty())
    throw InvalidArgument("--stats: expected a Gaussian, which --isotropic and --ranks are cut from");
}

/// The exact score of DATA as as_data_of gives them: 8-bit pictures in the network's range.
std::shared_ptr<const Denoiser> exact_denoiser(const std::string& data, const Model& network, const Cli& cli) {
  const Model exact = open_exact_model(data, 0, cli);
  const double slope = (network.range_high - network.range_low) / 2;
  if (!open_data(data)->is_uint8() || (slope == 1 && network.range_low == -1)) return exact.denoiser;
  return std::make_shared<Rescaled>(exact.denoiser, AffineMap{.slope = slope, .offset = network.range_low + slope});
}

ordered_json compare_verb(const Options& o, const Cli& cli) {
  check(o);
  require_folder_of(o.out);
  const double start = now();
  std::vector<std::shared_ptr<const Network>> networks;
  for (const auto& path : o.networks) {
    networks.push_back(load_network(path, {.device = cli.device}));
    networks.back()->require_no_classes();
  }
  const Model first = model_of(networks.front());
  const auto require_shape = [&](const std::string& what, const ImageShape& shape) {
    if (shape != first.shape)
      throw InvalidArgument(
          fmt::format("{}: expected shape {} as in {}, got {}", what, to_string(first.shape), first.path, to_string(shape)));
  };
  const auto require_range = [&](const std::string& what, double low, double high) {
    if (low != first.range_low || high != first.range_high)
      throw InvalidArgument(fmt::format("{}: expected the range [{}, {}] as in {}, got [{}, {}]", what, first.range_low, first.range_high,
                                        first.path, low, high));
  };
  for (const auto& network : networks) {
    const NetworkInfo& info = network->info();
    require_shape(info.path, info.shape);
    require_range(info.path, info.range_low, info.range_high);
    for (const double sigma : o.sigmas)
      if (sigma < info.sigma_min * (1 - 1e-9) || sigma > info.sigma_max * (1 + 1e-9))
        throw InvalidArgument(fmt::format("--sigmas: expected sigma in [{}, {}], the levels that {} was trained on, got {}", info.sigma_min,
                                          info.sigma_max, info.path, sigma));
  }

  std::vector<NamedDenoiser> models;
  ordered_json stats_range;               // as in the files
  std::optional<GaussianStats> gaussian;  // the first Gaussian: its cuts and its eigenmodes
  for (const auto& path : o.stats) {
    const MixtureStats found = load_mixture(path), stats = fitted_to(first, path, found);
    stats_range[path] = {found.range_low, found.range_high};
    models.push_back({name_of(path, o.stats), denoiser_of(stats)});
    if (stats.components() > 1 || gaussian) continue;
    gaussian = stats.component(0);
    for (const auto rank : o.ranks)
      if (rank < 1 || rank > gaussian->rank())
        throw InvalidArgument(fmt::format("--ranks: expected 1 to {}, the rank of {}, got {}", gaussian->rank(), path, rank));
    for (auto& simpler : simpler_gaussians(*gaussian, models.back().name, o.isotropic, o.ranks)) models.push_back(std::move(simpler));
  }
  if (!gaussian && (o.isotropic || !o.ranks.empty()))
    throw InvalidArgument("--stats: expected a Gaussian among them, which --isotropic and --ranks are cut from");
  if (o.exact) models.push_back({"exact", exact_denoiser(o.data, first, cli)});

  Comparison comparison{.points = {}, .networks = {}, .models = models, .sigmas = o.sigmas, .shape = first.shape, .seed = o.seed};
  for (const auto& [name, data] : {std::pair{"train", o.data}, {"held_out", o.held_out}}) {
    if (data.empty()) continue;
    const auto stream = open_data(data);
    require_shape(data, stream->shape());
    comparison.points.push_back({name, as_data_of(first, data, *stream, draw_images(*stream, o.samples, o.seed))});
  }
  for (const auto& network : networks) {
    const NetworkInfo& info = network->info();
    comparison.networks.push_back({info.path, network, info.images > 0 ? ordered_json(info.images) : ordered_json(nullptr)});
  }
  const std::int64_t modes = gaussian ? std::clamp<std::int64_t>(o.modes, 0, gaussian->rank()) : 0;
  if (modes > 0) comparison.basis = gaussian->basis.narrow(1, 0, modes);
  Progress progress(cli, "comparing", std::ssize(comparison.points) * std::ssize(o.sigmas), "levels");
  std::int64_t done = 0;
  comparison.tick = [&] {
    progress.update(++done);
    stop_if_interrupted();
  };
  const ordered_json rows = comparison_rows(comparison);

  ordered_json json;
  json["format"] = "headstart-comparison";
  json["program"] = version();
  json["command"] = command_line();
  for (const auto& network : networks) json["network_sha256"][network->info().path] = network->info().sha256;
  for (const auto& path : o.stats) json["stats_sha256"][path] = sha256_file(path);
  json["range"] = {first.range_low, first.range_high};  // everything was compared in it
  if (!o.stats.empty()) json["stats_range"] = stats_range;
  json["data"] = o.data;
  json["held_out"] = o.held_out;
  json["samples"] = comparison.points.front().clean.size(0);
  json["seed"] = o.seed;
  json["eigenvalues"] = gaussian ? to_vector(gaussian->eigenvalues.narrow(0, 0, modes)) : std::vector<double>{};
  json["seconds"] = now() - start;
  json["rows"] = rows;
  write_file_atomically(o.out, o.out.ends_with(".csv") ? csv_of(rows) : json.dump(1) + "\n");
  say(cli, fmt::format("{}: {} rows ({} levels, {} models, {} points a set) in {:.1f} s", o.out, rows.size(), o.sigmas.size(),
                       models.size(), json["samples"].get<std::int64_t>(), json["seconds"].get<double>()));
  json.erase("rows");
  json["rows"] = rows.size();
  json["out"] = o.out;
  return json;
}

}  // namespace

void add_compare(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "compare", "How much of a trained network's score each closed form explains, over noise levels.",
                        [o](const Cli& c) { return compare_verb(*o, c); });
  verb->add_option("--network", o->networks, "a trained network; several, such as those kept while training, share the work")->required();
  verb->add_option("--data", o->data, "the images that get the noise, and those of --exact (DATA)")->required();
  verb->add_option("--held_out", o->held_out, "images that no model has seen, for a second set of rows (DATA)");
  verb->add_option("--stats", o->stats, "fitted Gaussians and mixtures");
  verb->add_flag("--exact", o->exact, "also the exact score of --data");
  verb->add_flag("--isotropic", o->isotropic, "also the first --stats' mean alone, and the isotropic Gaussian of its mean and variance");
  verb->add_option("--ranks", o->ranks, "also the first --stats cut to these ranks, with the mean tail")->delimiter(',');
  verb->add_option("--sigmas", o->sigmas, "noise levels")->delimiter(',')->capture_default_str();
  verb->add_option("--samples", o->samples, "points of each set, drawn at random")->capture_default_str();
  verb->add_option("--modes", o->modes, "leading eigenmodes of the first --stats to list in the JSON form")->capture_default_str();
  verb->add_option("--seed", o->seed, "of the points and their noise")->check(CLI::NonNegativeNumber)->capture_default_str();
  verb->add_option("--out", o->out, "table to write, .json or .csv")->required();
}

}  // namespace headstart::app
