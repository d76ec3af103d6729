#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "cli.h"
#include "drawing.h"
#include "headstart/core/parallel.h"
#include "headstart/data/npy.h"
#include "headstart/data/npz.h"
#include "headstart/data/png.h"
#include "headstart/data/tile_grid.h"
#include "headstart/error.h"
#include "path.h"
#include "run_dir.h"
#include "sample_options.h"
#include "sampling.h"
#include "version.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kGridImages = 100;

struct Options {
  SampleOptions sample{};
  std::string outdir, grid;
  std::int64_t save_path = 0;
  bool npz = false, subdirs = false, resume = false;
};

/// Keeps the first pictures in the order of the seeds for --grid, whether drawn now or found from before.
void write_grid(const Options& o, const Model& model, const SamplingOptions& s, const RunDir& dir) {
  std::vector<std::uint8_t> pixels;
  const std::size_t count = std::min(kGridImages, s.seeds.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto image = read_png(dir / RunDir::sample_name(s.seeds[i], o.subdirs));
    pixels.insert(pixels.end(), image.chw.begin(), image.chw.end());
  }
  const auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const ImageBytes tiles = tile_grid(model.shape, pixels, columns);
  write_png(o.grid, tiles.shape, tiles.chw);
}

void write_samples_npz(const std::string& path, const Model& model, const torch::Tensor& samples, bool images) {
  const auto count = samples.size(0);
  if (images) {
    const auto chw = to_pixels(model, samples);
    const torch::Tensor nhwc = torch::from_blob(const_cast<std::uint8_t*>(chw.data()),
                                                {count, model.shape.channels, model.shape.height, model.shape.width}, torch::kUInt8)
                                   .permute({0, 2, 3, 1})
                                   .contiguous();
    const NamedArray array{
        "samples", view_of<std::uint8_t>(nhwc.sizes().vec(), {nhwc.data_ptr<std::uint8_t>(), static_cast<std::size_t>(nhwc.numel())})};
    write_npz(path, std::span(&array, 1));
  } else {
    const torch::Tensor values = samples.to(torch::kFloat32).contiguous();
    const NamedArray array{"samples",
                           view_of<float>(values.sizes().vec(), {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())})};
    write_npz(path, std::span(&array, 1));
  }
}

/// Whether two runs' settings make the same pictures: by content, not by how paths and seeds were spelt.
bool same_pictures(ordered_json a, ordered_json b) {
  for (ordered_json* settings : {&a, &b}) {
    if (!settings->is_object() || !settings->contains("seeds")) return false;
    (*settings)["seeds"] = parse_seeds((*settings)["seeds"].get<std::string>());
    erase_paths(*settings);
  }
  return a == b;
}

std::string head_start_line(const SamplingOptions& s, const SamplingPlan& plan) {
  if (plan.sigma_start > plan.sigmas.front()) return fmt::format("teleported to sigma {:.4g}, ", plan.sigmas.front());
  return s.teleport && s.teleport->mode == TeleportMode::replace ? fmt::format("closed form above sigma {:.4g}, ", s.teleport->sigma) : "";
}

[[noreturn]] void refuse_used(const std::string& outdir) {
  throw DataError(outdir, "is not empty; choose another --outdir, or continue that run with --resume");
}

ordered_json sample_verb(Options& o, const Cli& cli) {
  const Model model = open_sampled_model(o.sample, cli);
  const bool images = is_picture(model.shape);
  if (!images && !o.npz) throw InvalidArgument("--npz: expected with data that are not images (shape " + to_string(model.shape) + ")");
  if (o.npz && (o.subdirs || !o.grid.empty()))
    throw InvalidArgument("--npz: expected without --subdirs and --grid, which are about PNG files");
  SamplingOptions s = sampling_of(o.sample, model);
  if (o.save_path > static_cast<std::int64_t>(s.seeds.size()))
    throw InvalidArgument(fmt::format("--save_path: expected at most the {} seeds of the run, got {}", s.seeds.size(), o.save_path));
  if (o.save_path > 0 && s.solver == "rk45")
    throw InvalidArgument("--save_path: expected with a solver that takes all rows through the same levels, not rk45");
  if (o.save_path > 0 && s.solve.churn.S_churn > 0)
    throw InvalidArgument("--save_path: expected without --S_churn, which lifts states between the levels that are kept");
  if (!o.grid.empty()) require_folder_of(o.grid);
  if (!o.grid.empty() && std::filesystem::absolute(o.grid).parent_path() == std::filesystem::absolute(o.outdir + "/.").parent_path())
    throw InvalidArgument("--grid: expected a file outside --outdir, whose PNG files are samples, got " + o.grid);

  if (!o.resume && std::filesystem::is_directory(o.outdir) && !std::filesystem::is_empty(o.outdir)) refuse_used(o.outdir);
  const AutoOptions automatic = automatic_of(o.sample);
  ordered_json calibration;
  if (automatic.teleport || automatic.residual) calibration = choose_start(s, model, automatic, cli);
  const SamplingPlan plan = plan_sampling(s, model);
  if (s.residual && o.sample.residual != "auto" && o.sample.teleport != "auto" && !splits_a_step(plan, *s.residual))
    throw InvalidArgument(fmt::format("--residual: expected at most {}, where the first step ends: a step is split down to there, got {}",
                                      plan.sigmas[1], *s.residual));
  ordered_json settings = describe(model, s, plan);
  settings["files"] = o.npz ? "npz" : o.subdirs ? "png/subdirs" : "png";

  const RunDir dir(o.outdir);
  if (!o.resume && !dir.empty()) refuse_used(o.outdir);
  const ordered_json earlier = dir.read_run();
  if (earlier.empty() && !dir.empty()) throw DataError(o.outdir, "is not empty and holds no run.json of sample; choose another --outdir");
  if (!earlier.empty() && !same_pictures(earlier.value("settings", ordered_json()), settings))
    throw DataError(dir / "run.json", "was made with other settings; --resume continues only the same run");

  std::vector<std::int64_t> missing;
  for (const auto seed : s.seeds)
    if (o.npz || !std::filesystem::exists(dir / RunDir::sample_name(seed, o.subdirs))) missing.push_back(seed);
  if (o.npz && std::filesystem::exists(dir / "samples.npz")) missing.clear();

  ordered_json run;
  run["program"] = version();
  run["command"] = command_line();
  run["settings"] = settings;
  if (!calibration.is_null()) run["calibration"] = calibration;
  run["finished"] = false;
  for (const char* key : {"nfe", "drawn", "seconds", "images_per_second"}) run[key] = earlier.value(key, ordered_json());
  run["count"] = s.seeds.size();
  run["batch"] = s.batch;
  run["threads"] = threads();
  dir.write_run(run);

  const std::int64_t found = static_cast<std::int64_t>(s.seeds.size() - missing.size());
  const auto drawn_before = run["drawn"].is_number() ? run["drawn"].get<std::int64_t>() : 0;
  const double seconds_before = run["seconds"].is_number() ? run["seconds"].get<double>() : 0.0;
  Progress progress(cli, "sampling", static_cast<std::int64_t>(s.seeds.size()), "images", found);
  std::int64_t drawn = 0;
  std::vector<torch::Tensor> kept;
  const double start = now();
  draw_samples(model, s, plan, missing, [&](const std::vector<std::int64_t>& seeds, const torch::Tensor& samples, std::int64_t nfe) {
    // What this batch cost is on the disk before its pictures are, so that no interruption can lose it.
    drawn += static_cast<std::int64_t>(seeds.size());
    run["nfe"] = nfe;
    run["drawn"] = drawn_before + drawn;
    run["seconds"] = seconds_before + now() - start;
    run["images_per_second"] = run["drawn"].get<double>() / run["seconds"].get<double>();
    dir.write_run(run);
    if (o.npz) {
      kept.push_back(samples);
    } else {
      const auto pixels = to_pixels(model, samples);
      const auto size = static_cast<std::size_t>(model.shape.dim());
      for (std::size_t i = 0; i < seeds.size(); ++i) {
        const std::string path = dir / RunDir::sample_name(seeds[i], o.subdirs);
        if (o.subdirs) std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        write_png(path, model.shape, std::span(pixels).subspan(i * size, size));
      }
    }
    progress.update(found + drawn);
  });
  if (o.npz && !kept.empty()) write_samples_npz(dir / "samples.npz", model, torch::cat(kept), images);
  if (o.save_path > 0) save_path(dir / "path.safetensors", record_path(model, s, plan, {s.seeds.begin(), s.seeds.begin() + o.save_path}));
  run["finished"] = true;
  dir.write_run(run);
  if (!o.grid.empty()) write_grid(o, model, s, dir);

  ordered_json json;
  json["outdir"] = o.outdir;
  json["nfe"] = run["nfe"];
  json["sigmas"] = plan.sigmas;
  json["sigma_skip"] = settings["sigma_skip"];
  json["sigma_c"] = s.residual ? ordered_json(*s.residual) : ordered_json();
  json["solver"] = s.solver;
  json["seconds"] = run["seconds"];
  json["images_per_second"] = run["images_per_second"];
  json["count"] = run["count"];
  if (!calibration.is_null()) json["calibration"] = calibration;
  say(cli, fmt::format("{}: {} samples, {} NFE, solver {}, {}{:.1f} s", o.outdir, s.seeds.size(), run["nfe"].dump(), s.solver,
                       head_start_line(s, plan), run["seconds"].get<double>()));
  return json;
}

}  // namespace

void add_sample(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "sample", "Draw samples from a network or a closed form, with or without a head start.",
                        [o](const Cli& c) { return sample_verb(*o, c); });
  add_sample_options(*verb, o->sample);
  verb->add_option("--outdir", o->outdir, "folder for the samples and run.json")->required();
  verb->add_flag("--npz", o->npz, "one samples.npz instead of PNG files (kept in memory until the end)");
  verb->add_flag("--subdirs", o->subdirs, "group PNG files by 1000");
  verb->add_option("--grid", o->grid, "PNG of the first 100 samples side by side");
  verb->add_option("--save_path", o->save_path, "keep states and denoised estimates of the first so many seeds in path.safetensors")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_flag("--resume", o->resume, "continue an interrupted run: only what is missing is drawn");
}

}  // namespace headstart::app
