// The main job, start to end: fit a Gaussian to Fashion-MNIST, sample the shipped network with and without the head start, measure, show.

#include <fmt/format.h>

#include <memory>

#include "cli.h"
#include "data_tensors.h"
#include "drawing.h"
#include "evaluation.h"
#include "headstart/core/parallel.h"
#include "headstart/data/atomic_file.h"
#include "headstart/data/sha256.h"
#include "headstart/moments/moments.h"
#include "headstart/report/report.h"
#include "path.h"
#include "run_dir.h"
#include "run_report.h"
#include "sampling.h"
#include "version.h"

namespace headstart::app {
namespace {

constexpr const char* kData = "fashion-mnist";
constexpr const char* kNetwork = "fashion-mnist-28x28-uncond.safetensors";
constexpr const char* kFeatures = "fashion-mnist-features";
constexpr std::size_t kThumbs = 12;

struct Options {
  std::string out_dir = "out/demo";
  std::int64_t num = 512;
};

/// One row of the table. Unskipped runs with fewer steps are among them: a jump must beat those too, not only the full run.
struct Row {
  std::int64_t steps;
  double teleport;  // 0: off
  TeleportMode mode;
};
constexpr Row kRows[] = {{18, 0, TeleportMode::tail},     {18, 20, TeleportMode::tail},     {14, 0, TeleportMode::tail},
                         {10, 0, TeleportMode::tail},     {10, 10, TeleportMode::respaced}, {6, 0, TeleportMode::tail},
                         {6, 10, TeleportMode::respaced}, {4, 0, TeleportMode::tail},       {4, 5, TeleportMode::respaced}};

/// Where the reader's slider stops, and with how many seeds; the paths are shown of the first few of them.
constexpr double kSkips[] = {0, 40, 20, 10, 5, 2.5, 1};
constexpr std::int64_t kSweepSeeds = 16, kPathSeeds = 3;

/// A row's settings, its grid, and the run they describe, not yet drawn.
struct Planned {
  SamplingOptions options;
  SamplingPlan plan;
  SampleRun run;
};

Planned plan_row(const Row& row, std::int64_t num, const Model& model, const ClosedForm& fitted) {
  SamplingOptions s;
  s.seeds_text = fmt::format("0-{}", num - 1);
  s.seeds = parse_seeds(s.seeds_text);
  s.karras.steps = row.steps;
  if (row.teleport > 0) {
    s.teleport = Teleport{.sigma = row.teleport, .mode = row.mode};
    s.closed_form = fitted;
  }
  const SamplingPlan plan = plan_sampling(s, model);

  SampleRun run{.solver = s.solver,
                .teleport = row.teleport > 0 ? (row.mode == TeleportMode::tail ? "tail" : "respaced") : "off",
                .steps = row.steps,
                .sigmas = plan.sigmas,
                .skipped_sigmas = plan.skipped,
                .count = num,
                .seeds = s.seeds_text};
  if (row.teleport > 0) run.sigma_skip = plan.sigmas.front();
  run.label = run_label(run);
  run.settings = settings_of(describe(model, s, plan));
  return {s, plan, run};
}

void add_thumbs(SampleRun& run, const Model& model, const std::vector<std::int64_t>& seeds, const torch::Tensor& samples,
                std::size_t most) {
  const auto count = std::min(seeds.size(), most - std::min(most, run.thumbs.size()));
  const auto pictures = draw(samples.narrow(0, 0, static_cast<std::int64_t>(count)), model.shape, {model.range_low, model.range_high});
  for (std::size_t i = 0; i < count; ++i) run.thumbs.push_back({.seed = seeds[i], .png = pictures[i]});
}

/// A handful of seeds without a jump and with lower and lower ones, on the grid of the first row.
std::vector<SkipSweep> sweep_skips(const Cli& cli, const Model& model, const ClosedForm& fitted) {
  std::vector<SampleRun> runs;
  Progress progress(cli, "jump by jump", std::ssize(kSkips) * kSweepSeeds, "images");
  for (const double skip : kSkips) {
    Planned p = plan_row({kRows[0].steps, skip, TeleportMode::tail}, kSweepSeeds, model, fitted);
    p.run.nfe = draw_samples(model, p.options, p.plan, p.options.seeds, [&](const auto& seeds, const torch::Tensor& samples, std::int64_t) {
      add_thumbs(p.run, model, seeds, samples, kSweepSeeds);
    });
    runs.push_back(std::move(p.run));
    progress.update(std::ssize(runs) * kSweepSeeds);
  }
  return skip_sweeps(runs);
}

struct Measured {
  SampleRun run;
  nlohmann::ordered_json json;
};

Measured run_row(const Row& row, const Options& o, const Cli& cli, const Model& model, const ClosedForm& fitted, const FeatureSpace& space,
                 const FeatureMoments& reference) {
  Planned planned = plan_row(row, o.num, model, fitted);
  const SamplingOptions& s = planned.options;
  const SamplingPlan& plan = planned.plan;
  SampleRun& run = planned.run;
  std::vector<torch::Tensor> features;
  Progress progress(cli, run.label, o.num, "images");
  double seconds = 0, start = now();
  std::int64_t done = 0;
  run.nfe = draw_samples(model, s, plan, s.seeds, [&](const std::vector<std::int64_t>& seeds, const torch::Tensor& samples, std::int64_t) {
    seconds += now() - start;  // sampling alone, not measuring
    const auto pixels = to_pixels(model, samples);
    add_thumbs(run, model, seeds, samples, kThumbs);
    // Measured as the pictures they become, not as the floats they were.
    const torch::Tensor bytes = torch::tensor(at::ArrayRef<std::uint8_t>(pixels), torch::kUInt8);
    const torch::Tensor images =
        (bytes.to(torch::kFloat32) / 127.5F - 1).view({-1, model.shape.channels, model.shape.height, model.shape.width});
    features.push_back(space.extract(images));
    done += static_cast<std::int64_t>(seeds.size());
    progress.update(done);
    start = now();
  });
  run.seconds = seconds;
  run.images_per_second = static_cast<double>(o.num) / seconds;
  const auto frechet = to_json(measure_frechet(torch::cat(features), reference, cli));
  run.frechet = frechet["value"].get<double>();
  run.frechet_interval = {frechet["low"], frechet["high"]};
  run.features = space.name();
  run.frechet_num = o.num;
  run.reference = fmt::format("{} ({} images)", kData, reference.count);

  nlohmann::ordered_json json;
  json["label"] = run.label;
  json["settings"] = describe(model, s, plan);
  json["nfe"] = run.nfe;
  json["frechet"] = frechet;
  json["num"] = o.num;
  json["seconds"] = seconds;
  return {std::move(run), std::move(json)};
}

nlohmann::ordered_json demo_verb(const Options& o, const Cli& cli) {
  const double start = now();
  const Model model = open_network_model(shipped_model(kNetwork), {.device = cli.device});
  const auto space = open_features(resolve_features(kFeatures), model.shape);
  const auto stream = open_data(kData);
  const RunDir dir(o.out_dir);

  auto stats = std::make_shared<GaussianStats>();
  {
    Progress progress(cli, "fitting the Gaussian", stream->count(), "images");
    *stats = fit_gaussian(*stream, {.on_progress = [&](std::int64_t done) {
      progress.update(done);
      stop_if_interrupted();
    }});
  }
  const std::string stats_path = dir / "stats.safetensors";
  save_stats(stats_path, *stats);
  const ClosedForm fitted = closed_form_of(mixture_of(*stats), stats_path);
  const double fit_seconds = now() - start;
  say(cli, fmt::format("Gaussian of {} images in {} dimensions: {:.1f} s", stats->count, stats->dim(), fit_seconds));

  stream->rewind();
  const FeatureMoments reference = set_moments({kData, *stream, stream->count()}, *space, cli);

  Report report{.title = "A head start on Fashion-MNIST",
                .subtitle = fmt::format("The shipped network, sampled with and without analytical teleportation; {} samples a row.", o.num),
                .date = today(),
                .version = version_number()};
  report.spectra.push_back(spectrum_of(*stats, "Fashion-MNIST training images"));
  report.provenance = {{"command", command_line()},
                       {"program", version()},
                       {"threads", std::to_string(threads())},
                       {"device", cli.device},
                       {"network", model.path},
                       {"network sha256", model.sha256},
                       {"features", space->name()},
                       {"features sha256", space->sha256()},
                       {"data", kData},
                       {"data sha256", stats->data_sha256},
                       {"statistics", fitted.path},
                       {"statistics sha256", fitted.sha256}};
  nlohmann::ordered_json json;
  json["fit_seconds"] = fit_seconds;
  json["rows"] = nlohmann::ordered_json::array();
  say(cli, fmt::format("\nFrechet distance in {}, N = {}, seeds 0-{}, against {} images of {}\n", space->name(), o.num, o.num - 1,
                       reference.count, kData));
  say(cli, fmt::format("{:<8}{:>6}  {:<10}{:>11}{:>6}{:>10}{:>20}{:>9}", "solver", "steps", "teleport", "sigma_skip", "NFE", "Frechet",
                       "95 % interval", "seconds"));
  for (const Row& row : kRows) {
    Measured m = run_row(row, o, cli, model, fitted, *space, reference);
    const SampleRun& r = m.run;
    say(cli, fmt::format("{:<8}{:>6}  {:<10}{:>11}{:>6}{:>10.3f}{:>20}{:>9.1f}", r.solver, r.steps, r.teleport,
                         r.sigma_skip ? fmt::format("{:.2f}", *r.sigma_skip) : "-", r.nfe, *r.frechet,
                         fmt::format("[{:.3f}, {:.3f}]", r.frechet_interval->low, r.frechet_interval->high), r.seconds));
    json["rows"].push_back(std::move(m.json));
    report.runs.push_back(std::move(m.run));
  }
  const Planned full = plan_row(kRows[0], kPathSeeds, model, fitted);
  report.runs.front().paths = drawn_paths(record_path(model, full.options, full.plan, full.options.seeds), stats.get());
  report.sweeps = sweep_skips(cli, model, fitted);
  json["sweep"] = nlohmann::ordered_json::array();
  for (const SkipSweep& sweep : report.sweeps) {
    for (const SkipStop& stop : sweep.stops) {
      nlohmann::ordered_json entry = {{"sigma_skip", nullptr}, {"nfe", stop.nfe}, {"rmse", stop.rmse}};
      if (stop.sigma_skip) entry["sigma_skip"] = *stop.sigma_skip;
      json["sweep"].push_back(entry);
    }
  }
  report.notes.emplace_back(
      "Sample count",
      fmt::format(
          "{} samples bias every Frechet distance upwards by the same cause; compare rows, and do not compare them with distances of other "
          "sample counts. Intervals are 1.96 bootstrap standard deviations of the samples.",
          o.num));
  write_file_atomically(dir / "report.html", render_report(report));
  json["report"] = dir / "report.html";
  json["seconds"] = now() - start;
  dir.write("demo.json", json);
  say(cli, fmt::format("\n{} written, {:.0f} s in all", dir / "report.html", json["seconds"].get<double>()));
  return json;
}

}  // namespace

void add_demo(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "demo", "The main job on Fashion-MNIST with the shipped network: a table and a report.",
                        [o](const Cli& c) { return demo_verb(*o, c); });
  verb->add_option("--out_dir", o->out_dir, "folder for stats.safetensors, demo.json and report.html")->capture_default_str();
  verb->add_option("--num", o->num, "samples a row")->check(CLI::Range(2, 1'000'000))->capture_default_str();
}

}  // namespace headstart::app
