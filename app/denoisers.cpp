#include "denoisers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <utility>

#include "data_tensors.h"
#include "headstart/data/mapped_npy.h"
#include "headstart/data/sha256.h"
#include "headstart/denoise/empirical.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/denoise/smoothed.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"
#include "headstart/moments/mixture_stats.h"
#include "headstart/moments/moments.h"
#include "headstart/nets/network.h"

namespace headstart::app {
namespace {

using torch::Tensor;

/// Data points where they can be read at random, and what one pass over them tells.
struct DataPoints {
  Tensor values;  // [N, D] float32
  ImageShape shape;
  std::pair<double, double> range;
  std::string sha256;
};

/// The file's values as a tensor, without reading them; undefined where it cannot be mapped.
Tensor mapped_values(const std::string& path, const ImageShape& shape) {
  const auto file = MappedNpy::open(path);
  if (!file) return {};
  auto* values = const_cast<float*>(file->values().data());  // tensors know no const; nobody writes to it
  return torch::from_blob(
      values, {file->shape()[0], shape.dim()}, [file](void*) {}, torch::kFloat32);
}

void require_memory_for(const std::string& data, double bytes) {
  const double available = available_memory();
  if (bytes > 0.8 * available)
    throw InvalidArgument(
        fmt::format("{}: expected data that fit into memory ({:.3g} GB needed, {:.3g} GB available), a plain float32 .npy file, which need "
                    "not fit, or --limit",
                    data, bytes * 1e-9, available * 1e-9));
}

DataPoints load_points(const std::string& data, std::int64_t limit, const Cli& cli) {
  const auto stream = open_data(data);
  const std::int64_t count = limit > 0 ? std::min(limit, stream->count()) : stream->count(), dim = stream->shape().dim();
  DataPoints points{.values = mapped_values(data, stream->shape()), .shape = stream->shape(), .range = {}, .sha256 = {}};
  const bool mapped = points.values.defined();
  if (!mapped) require_memory_for(data, 4.0 * static_cast<double>(count * dim));
  const std::int64_t rows = std::clamp<std::int64_t>((1 << 20) / dim, 1, count);
  points.values = mapped ? points.values.narrow(0, 0, count) : torch::empty({count, dim}, torch::kFloat32);
  const Tensor block = torch::empty({rows, dim}, torch::kFloat32);
  Progress progress(cli, "reading", count, "images");
  Sha256 hash;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::int64_t done = 0; done < count;) {  // the mapped file too: the stream finds what is not finite, and says where
    const std::int64_t wanted = std::min(rows, count - done);
    float* into = mapped ? block.data_ptr<float>() : points.values.data_ptr<float>() + done * dim;
    const std::span<float> values(into, static_cast<std::size_t>(wanted * dim));
    const std::int64_t got = stream->read(values);
    if (got == 0) throw DataError(data, fmt::format("expected {} images, got {}", count, done));
    const auto read = values.first(static_cast<std::size_t>(got * dim));
    hash.update(std::as_bytes(read));
    const auto [least, most] = std::minmax_element(read.begin(), read.end());
    low = std::min<double>(low, *least);
    high = std::max<double>(high, *most);
    done += got;
    progress.update(done);
    stop_if_interrupted();
  }
  points.range = data_range(stream->is_uint8(), low, high);
  points.sha256 = hash.hex();
  return points;
}

Model open_isotropic_model(const std::string& data, const Cli& cli) {
  const auto stream = open_data(data);
  Progress progress(cli, "fitting", stream->count(), "images");
  const GaussianStats stats = fit_gaussian(*stream, {.on_progress = [&](std::int64_t done) {
    progress.update(done);
    stop_if_interrupted();
  }});
  return {.denoiser = std::make_shared<IsotropicDenoiser>(stats.mean, stats.trace() / static_cast<double>(stats.dim())),
          .kind = "isotropic",
          .path = data,
          .sha256 = stats.data_sha256,
          .shape = stats.shape,
          .range_low = stats.range_low,
          .range_high = stats.range_high};
}

Model open_smoothed_model(const ModelOptions& o, const Cli& cli) {
  double kappa = 0;
  std::size_t end = 0;
  try {
    kappa = std::stod(o.smooth[0], &end);
  } catch (const std::logic_error&) {
  }
  if (end == 0 || end != o.smooth[0].size() || !(kappa >= 0) || !std::isfinite(kappa))
    throw InvalidArgument("--smooth: expected a radius >= 0, then the data, got " + o.smooth[0]);
  if (o.smooth_draws < 2 || o.smooth_draws % 2 != 0)
    throw InvalidArgument(fmt::format("--smooth_draws: expected an even number, at least 2, got {}", o.smooth_draws));
  Model model = open_exact_model(o.smooth[1], o.limit, cli);
  model.kind = "smooth";
  model.denoiser =
      std::make_shared<SmoothedDenoiser>(model.denoiser, SmoothedOptions{.kappa = kappa, .draws = o.smooth_draws, .seed = o.smooth_seed});
  model.settings["kappa"] = kappa;
  model.settings["smooth_draws"] = o.smooth_draws;
  model.settings["smooth_seed"] = o.smooth_seed;
  return model;
}

}  // namespace

void add_model_options(CLI::App& verb, ModelOptions& o) {
  verb.add_option("--network", o.network, "a trained network");
  verb.add_option("--precision", o.precision, "of a U-Net's convolutions: fp32, bf16")->capture_default_str();
  verb.add_option("--stats", o.stats, "a fitted Gaussian or mixture");
  verb.add_option("--exact", o.exact, "the exact score of these data (DATA)");
  verb.add_option("--class", o.label, "of statistics fitted class by class (--stats, --teleport_stats): this class only");
  verb.add_option("--smooth", o.smooth, "KAPPA DATA: the exact score, averaged over shifts of std KAPPA")->expected(2);
  verb.add_option("--smooth_draws", o.smooth_draws, "number of shifts, even")->capture_default_str();
  verb.add_option("--smooth_seed", o.smooth_seed, "of the shifts")->capture_default_str();
  verb.add_option("--limit", o.limit, "first images of DATA only")->check(CLI::PositiveNumber);
  if (o.takes_isotropic) verb.add_option("--isotropic", o.isotropic, "the isotropic Gaussian of these data (DATA)");
}

Model open_model(const ModelOptions& o, const Cli& cli, const std::string& verb) {
  const auto given = {!o.network.empty(), !o.stats.empty(), !o.exact.empty(), !o.smooth.empty(), !o.isotropic.empty()};
  if (std::count(given.begin(), given.end(), true) != 1)
    throw InvalidArgument(verb + ": expected exactly one of --network, --stats, --exact, --smooth" +
                          (o.takes_isotropic ? ", --isotropic" : ""));
  if (o.limit > 0 && o.exact.empty() && o.smooth.empty()) throw InvalidArgument("--limit: expected with --exact or --smooth");
  if (o.smooth.empty() && (o.smooth_draws != ModelOptions().smooth_draws || o.smooth_seed != 0))
    throw InvalidArgument("--smooth_draws, --smooth_seed: expected with --smooth");
  if (o.network.empty() && parse_precision(o.precision) != torch::kFloat32) throw InvalidArgument("--precision: expected with --network");
  if (o.label && o.stats.empty()) throw InvalidArgument("--class: expected with --stats, fitted class by class");
  if (!o.network.empty()) return open_network_model(o.network, {.device = cli.device, .compute_type = parse_precision(o.precision)});
  if (!o.stats.empty()) return open_stats_model(o.stats, o.label);
  if (!o.exact.empty()) return open_exact_model(o.exact, o.limit, cli);
  return o.smooth.empty() ? open_isotropic_model(o.isotropic, cli) : open_smoothed_model(o, cli);
}

Model model_of(std::shared_ptr<const Network> network) {
  const NetworkInfo& info = network->info();
  return {.denoiser = network,
          .kind = "network",
          .path = info.path,
          .sha256 = info.sha256,
          .shape = info.shape,
          .range_low = info.range_low,
          .range_high = info.range_high,
          .sigma_min = info.sigma_min,
          .sigma_max = info.sigma_max,
          .table = info.table};
}

Model open_network_model(const std::string& path, const LoadOptions& options) {
  const auto network = load_network(path, options);
  network->require_no_classes();
  Model model = model_of(network);
  if (options.compute_type == torch::kBFloat16) model.settings["precision"] = "bf16";
  return model;
}

std::shared_ptr<const Denoiser> denoiser_of(const MixtureStats& stats) {
  if (stats.components() == 1) return std::make_shared<GaussianDenoiser>(stats.component(0));
  return std::make_shared<MixtureDenoiser>(stats);
}

Model open_stats_model(const std::string& path, std::optional<std::int64_t> label) {
  const MixtureStats stats = load_class(path, label);
  Model model{.denoiser = denoiser_of(stats),
              .kind = "stats",
              .path = path,
              .sha256 = sha256_file(path),
              .shape = stats.shape,
              .range_low = stats.range_low,
              .range_high = stats.range_high};
  if (label) model.settings["class"] = *label;
  return model;
}

MixtureStats load_class(const std::string& path, std::optional<std::int64_t> label) {
  const MixtureStats stats = load_mixture(path);
  if (label && std::ranges::find(stats.classes, *label) == stats.classes.end())
    throw InvalidArgument(stats.classes.empty()
                              ? fmt::format("--class: expected statistics fitted --per_class, which {} are not", path)
                              : fmt::format("--class: expected one of {{{}}}, the classes of {}, got {}",
                                            fmt::join(std::set(stats.classes.begin(), stats.classes.end()), ", "), path, *label));
  return label ? stats.of_class(*label) : stats;
}

Model open_exact_model(const std::string& data, std::int64_t limit, const Cli& cli) {
  DataPoints points = load_points(data, limit, cli);
  EmpiricalOptions options;
  // The tables that let it leave points out are the one thing that grows with the data and must be in memory. They change the time only.
  const double tables = 4.0 * static_cast<double>(points.values.size(0) * (options.rank + 5));
  if (tables > available_memory() / 2) options.rank = 0;
  Model model{.denoiser = std::make_shared<EmpiricalDenoiser>(std::move(points.values), options),
              .kind = "exact",
              .path = data,
              .sha256 = points.sha256,
              .shape = points.shape,
              .range_low = points.range.first,
              .range_high = points.range.second};
  if (limit > 0) model.settings["limit"] = limit;
  return model;
}

}  // namespace headstart::app
