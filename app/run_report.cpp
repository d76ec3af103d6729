#include "run_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "headstart/data/byte_source.h"
#include "headstart/error.h"
#include "headstart/moments/gaussian_stats.h"
#include "run_dir.h"

namespace headstart::app {
namespace {

constexpr std::size_t kThumbs = 16;

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
    for (const auto& [key, value] : settings.items())
      if (key != "sigmas" && key != "skipped_sigmas")
        run.settings.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    run.settings.emplace_back("program", json.at("program").get<std::string>());
    const std::string evaluation = folder + "/evaluate.json";
    if (std::filesystem::exists(evaluation)) {
      const auto result = read_json(evaluation);
      run.frechet = result.at("frechet").at("value").get<double>();
      run.frechet_interval = {result.at("frechet").at("low"), result.at("frechet").at("high")};
      run.features = result.at("features");
      run.frechet_num = result.at("num");
      run.reference = result.at("reference");
    }
    run.thumbs = first_pictures(folder);
    run.label = run_label(run);
    return run;
  } catch (const nlohmann::json::exception& e) {
    throw DataError(folder + "/run.json", std::string("expected what sample writes: ") + e.what());
  }
}

Spectrum read_spectrum(const std::string& path) {
  const GaussianStats stats = load_stats(path);
  Spectrum spectrum{.name = std::filesystem::path(path).stem().string(),
                    .tail = stats.tail,
                    .dim = stats.dim(),
                    .count = stats.count,
                    .shape = stats.shape};
  const double* values = stats.eigenvalues.data_ptr<double>();
  spectrum.eigenvalues.assign(values, values + stats.rank());
  return spectrum;
}

std::string today() { return fmt::format("{:%Y-%m-%d}", fmt::localtime(std::time(nullptr))); }

}  // namespace headstart::app
