#include "run_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <set>

#include "drawing.h"
#include "headstart/data/byte_source.h"
#include "headstart/data/png.h"
#include "headstart/error.h"
#include "path.h"
#include "run_dir.h"

namespace headstart::app {
namespace {

constexpr std::size_t kThumbs = 16;
constexpr std::int64_t kModes = 15;  // with the mean: two rows of eight

std::vector<Thumb> first_pictures(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".png") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  std::vector<Thumb> thumbs;
  for (const auto& path : paths) {
    const std::string stem = std::filesystem::path(path).stem().string();
    if (thumbs.size() == kThumbs) break;
    if (stem.empty() || !std::all_of(stem.begin(), stem.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    const auto bytes = read_file(path);
    Thumb thumb{.seed = std::stoll(stem)};
    thumb.png.resize(bytes.size());
    std::transform(bytes.begin(), bytes.end(), thumb.png.begin(), [](std::byte b) { return static_cast<std::uint8_t>(b); });
    thumbs.push_back(std::move(thumb));
  }
  return thumbs;
}

/// A JSON object's values as texts, nested ones under "outer.inner"; empty ones and those under `without` are left out.
ReportPairs pairs_of(const nlohmann::ordered_json& object, const std::vector<std::string>& without = {}) {
  ReportPairs pairs;
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(without, key) != without.end()) continue;
    if (value.is_object()) {
      for (const auto& [inner, text] : pairs_of(value)) pairs.emplace_back(fmt::format("{}.{}", key, inner), text);
    } else if (value != "") {
      pairs.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return pairs;
}

/// Root mean square difference of two pictures, black to white being 2.
double rmse(const PngFile& a, const PngFile& b) {
  const auto x = decode_png("a picture", std::as_bytes(std::span(a))).chw, y = decode_png("a picture", std::as_bytes(std::span(b))).chw;
  if (x.size() != y.size()) throw InvalidArgument("report: expected pictures of one size in runs of one model");
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow((x[i] - y[i]) / 127.5, 2);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

const PngFile* picture_of(const SampleRun& run, std::int64_t seed) {
  const auto found = std::ranges::find(run.thumbs, seed, &Thumb::seed);
  return found == run.thumbs.end() ? nullptr : &found->png;
}

SkipStop stop_of(const SampleRun& run, const SampleRun& full, const std::vector<std::int64_t>& seeds) {
  SkipStop stop{.sigma_skip = run.sigma_skip, .nfe = run.nfe, .rmse = 0, .thumbs = {}};
  double squares = 0;
  for (const auto seed : seeds) {
    stop.thumbs.push_back({.seed = seed, .png = *picture_of(run, seed)});
    squares += std::pow(rmse(*picture_of(run, seed), *picture_of(full, seed)), 2);
  }
  stop.rmse = std::sqrt(squares / static_cast<double>(seeds.size()));
  return stop;
}

/// What decides a picture beside grid, seeds and jump.
ReportPairs other_settings(const SampleRun& run) {
  static const std::set<std::string> kPaths = {"network", "stats", "files"};
  ReportPairs others;
  std::ranges::copy_if(run.settings, std::back_inserter(others),
                       [](const auto& pair) { return !pair.first.starts_with("teleport") && !kPaths.contains(pair.first); });
  return others;
}

/// Whether `jump` is `full` with a jump in front: in tail mode, what was passed over and what was kept make up the full run's grid.
bool shortens(const SampleRun& jump, const SampleRun& full) {
  std::vector<double> grid = jump.skipped_sigmas;
  grid.insert(grid.end(), jump.sigmas.begin(), jump.sigmas.end());
  return jump.teleport == "tail" && jump.solver == full.solver && grid == full.sigmas && other_settings(jump) == other_settings(full);
}

}  // namespace

std::string run_label(const SampleRun& run) {
  return run.teleport == "off" ? fmt::format("{} {}", run.solver, run.steps)
                               : fmt::format("{} {}, to {:.3g} ({})", run.solver, run.steps, run.sigma_skip.value_or(0), run.teleport);
}

SampleRun read_run(const std::string& folder) {
  const auto json = read_json(folder + "/run.json");
  try {
    const auto& settings = json.at("settings");
    if (!json.at("finished").get<bool>()) throw DataError(folder, "expected a finished run; finish it with sample --resume");
    SampleRun run{.solver = settings.at("solver"),
                  .teleport = settings.at("teleport"),
                  .nfe = json.at("nfe"),
                  .steps = settings.at("steps"),
                  .sigmas = settings.at("sigmas"),
                  .skipped_sigmas = settings.at("skipped_sigmas"),
                  .count = json.at("count"),
                  .seeds = settings.at("seeds"),
                  .seconds = json.at("seconds"),
                  .images_per_second = json.at("images_per_second")};
    if (!settings.at("sigma_skip").is_null()) run.sigma_skip = settings.at("sigma_skip").get<double>();
    run.settings = settings_of(settings);
    run.provenance = pairs_of(json, {"settings", "nfe", "count", "seconds", "images_per_second"});
    const std::string evaluation = folder + "/evaluate.json";
    if (std::filesystem::exists(evaluation)) {
      const auto result = read_json(evaluation);
      run.frechet = result.at("frechet").at("value").get<double>();
      run.frechet_interval = {result.at("frechet").at("low"), result.at("frechet").at("high")};
      run.features = result.at("features");
      run.frechet_num = result.at("num");
      run.reference = result.at("reference");
      for (const auto& [key, value] : pairs_of(result)) run.provenance.emplace_back("evaluate." + key, value);
    }
    run.thumbs = first_pictures(folder);
    run.label = run_label(run);
    return run;
  } catch (const nlohmann::json::exception& e) {
    throw DataError(folder + "/run.json", std::string("expected what sample writes: ") + e.what());
  }
}

std::vector<SamplingPath> read_paths(const std::string& folder, const std::vector<GaussianStats>& stats) {
  const std::string file = folder + "/path.safetensors";
  if (!std::filesystem::exists(file)) return {};
  const Path path = load_path(file);
  const auto fits = std::ranges::find_if(stats, [&](const GaussianStats& s) {
    return s.shape == path.shape && s.range_low == path.range.low && s.range_high == path.range.high;
  });
  return drawn_paths(path, fits == stats.end() ? nullptr : &*fits);
}

Spectrum spectrum_of(const GaussianStats& stats, const std::string& name) {
  Spectrum spectrum{.name = name, .tail = stats.tail, .dim = stats.dim(), .count = stats.count, .shape = stats.shape};
  const double* values = stats.eigenvalues.data_ptr<double>();
  spectrum.eigenvalues.assign(values, values + stats.rank());
  if (!is_picture(stats.shape)) return spectrum;
  spectrum.mean = draw(stats.mean.unsqueeze(0), stats.shape, {stats.range_low, stats.range_high}).front();
  spectrum.modes = draw_signed(stats.basis.narrow(1, 0, std::min(kModes, stats.rank())).t(), stats.shape);
  return spectrum;
}

std::vector<SkipSweep> skip_sweeps(const std::vector<SampleRun>& runs) {
  std::vector<SkipSweep> sweeps;
  for (const SampleRun& full : runs) {
    if (full.teleport != "off") continue;
    std::vector<const SampleRun*> jumps;
    for (const SampleRun& run : runs)
      if (shortens(run, full) && std::ranges::find(jumps, run.sigma_skip, &SampleRun::sigma_skip) == jumps.end()) jumps.push_back(&run);
    std::ranges::sort(jumps, std::greater(), &SampleRun::sigma_skip);
    std::vector<std::int64_t> seeds;
    for (const Thumb& thumb : full.thumbs)
      if (std::ranges::all_of(jumps, [&](const SampleRun* run) { return picture_of(*run, thumb.seed) != nullptr; }))
        seeds.push_back(thumb.seed);
    if (jumps.empty() || seeds.empty()) continue;
    SkipSweep sweep{.label = full.label, .stops = {stop_of(full, full, seeds)}};
    std::ranges::transform(jumps, std::back_inserter(sweep.stops), [&](const SampleRun* run) { return stop_of(*run, full, seeds); });
    sweeps.push_back(std::move(sweep));
  }
  return sweeps;
}

ReportPairs settings_of(const nlohmann::ordered_json& described) {
  return pairs_of(described, {"solver", "steps", "teleport", "sigma_skip", "seeds", "sigmas", "skipped_sigmas"});
}

std::string today() { return fmt::format("{:%Y-%m-%d}", fmt::localtime(std::time(nullptr))); }

}  // namespace headstart::app
