#include "auto_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "data_tensors.h"
#include "headstart/calibrate/head_start.h"
#include "headstart/data/atomic_file.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/solve/noise.h"
#include "ranges.h"
#include "run_dir.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;
using torch::Tensor;

ordered_json to_json(const std::optional<double>& level) { return level ? ordered_json(*level) : ordered_json(); }

std::optional<double> level_of(const ordered_json& json) { return json.is_null() ? std::nullopt : std::optional(json.get<double>()); }

/// Runs of the same model on the calibration's seeds, and what they cost.
class Draws {
 public:
  Draws(const Model& model, const SamplingOptions& sampling) : model_(model), seeds_(kCalibrationSeeds) {
    std::iota(seeds_.begin(), seeds_.end(), kFirstCalibrationSeed);
    sampling_ = sampling;
    sampling_.seeds = seeds_;
    sampling_.on_evaluation = {};
  }

  std::int64_t evaluations() const { return evaluations_; }

  /// Not a number where the sampler diverges.
  Tensor with(const HeadStart& start, TeleportMode mode) {
    SamplingOptions s = sampling_;
    s.teleport.reset();
    if (start.sigma_skip) s.teleport = Teleport{.sigma = *start.sigma_skip, .mode = mode};
    s.residual = start.sigma_c;
    try {
      return draw(s);
    } catch (const NumericalError&) {
      return torch::full({kCalibrationSeeds, model_.shape.dim()}, std::nan(""), torch::kFloat64);
    }
  }

  /// The paths themselves from the run's own noise to where its grid ends, in small steps: the closed form's flow down to the crossing, or
  /// to where the network can begin, and from there the network.
  Tensor reference(const std::optional<double>& crossing) {
    SamplingOptions s = sampling_;
    const SamplingPlan plan = plan_sampling(s, model_);
    const bool final_zero = plan.sigmas.back() == 0;
    const double last = final_zero ? std::max(0.002, model_.sigma_min) : plan.sigmas.back();
    const double highest = std::min(plan.sigma_start, model_.sigma_max);
    const double first = crossing ? std::clamp(*crossing, std::min(2 * last, highest), highest) : highest;
    s.sigmas.clear();
    s.solver = "unipc_bh2";
    s.solve = {};
    s.v3.reset();
    s.residual.reset();
    s.schedule = "karras";
    s.karras = {.steps = kReferenceSteps, .sigma_min = last, .sigma_max = first, .final_zero = final_zero};
    s.teleport.reset();
    s.sigma_start = plan.sigma_start;
    return draw(s);
  }

 private:
  Tensor draw(const SamplingOptions& s) {
    std::vector<Tensor> ends;
    const auto nfe = draw_samples(model_, s, plan_sampling(s, model_), seeds_,
                                  [&](const auto&, const Tensor& samples, std::int64_t) { ends.push_back(samples); });
    evaluations_ += nfe * kCalibrationSeeds;
    return torch::cat(ends);
  }

  const Model& model_;
  SamplingOptions sampling_;
  std::vector<std::int64_t> seeds_;
  std::int64_t evaluations_ = 0;
};

/// The first held-out images, in the model's range. @throws InvalidArgument where they are of another shape, or only one
Tensor held_out_points(const std::string& data, const Model& model) {
  const auto stream = open_data(data);
  if (stream->shape() != model.shape)
    throw InvalidArgument(fmt::format("--calibration_data: expected images of shape {} as in {}, got {} in {}", to_string(model.shape),
                                      model.path, to_string(stream->shape()), data));
  const Tensor images = read_images(*stream, kHeldOutPoints).flatten(1).to(torch::kFloat64);
  if (images.size(0) < 2) throw InvalidArgument("--calibration_data: expected at least two images, got one in " + data);
  return as_data_of(model, "--calibration_data", *stream, images);
}

std::string sha256_of(const Tensor& points) {
  Sha256 hash;
  const Tensor values = points.contiguous();
  hash.update(std::as_bytes(std::span(values.data_ptr<double>(), static_cast<std::size_t>(values.numel()))));
  return hash.hex();
}

/// Half the width of the data's range: what levels are relative to.
double unit_of(const Model& model) { return (model.range_high - model.range_low) / 2; }

/// All that a choice depends on; paths and seeds of the run are not among it.
ordered_json key_of(const Model& model, const SamplingOptions& s, const AutoOptions& o, const Tensor& points) {
  ordered_json key = describe(model, s, plan_sampling(s, model));
  erase_paths(key);
  key.erase("seeds");
  key["choose_teleport"] = o.teleport;
  key["choose_residual"] = o.residual;
  key["mode"] = to_string(o.mode);
  key["held_out_sha256"] = points.defined() ? ordered_json(sha256_of(points)) : ordered_json();
  const double unit = unit_of(model);
  key["calibration"] = {kCalibrationSeeds, kReferenceSteps, kAsGood, jumps_to_try(unit), switches_to_try(unit), "from the run's own noise"};
  return key;
}

/// Where a jump may land: with `tail` at the levels of the grid nearest to those to try.
std::vector<double> jumps_of(const SamplingOptions& s, const Model& model, TeleportMode mode) {
  const std::vector<double> grid = plan_sampling(s, model).sigmas;
  const double first = grid.front(), last = smallest_level(grid);
  std::vector<double> jumps;
  for (double jump : jumps_to_try(unit_of(model))) {
    if (mode == TeleportMode::tail)
      jump = std::ranges::min(grid, {}, [&](double level) { return level > 0 ? std::abs(std::log(level / jump)) : INFINITY; });
    if (jump < first && jump > 2 * last && (jumps.empty() || jump < jumps.back())) jumps.push_back(jump);
  }
  return jumps;
}

/// The run with what was chosen for it.
SamplingOptions chosen(SamplingOptions s, const AutoOptions& o, const HeadStart& start) {
  if (o.teleport && start.sigma_skip) s.teleport = Teleport{.sigma = *start.sigma_skip, .mode = o.mode};
  if (o.residual) s.residual = start.sigma_c;
  return s;
}

ordered_json measured(const Model& model, const SamplingOptions& s, const AutoOptions& o, const Tensor& points, const Cli& cli) {
  const double start = now();
  Draws draws(model, s);
  ordered_json result;
  std::optional<double> crossing;
  std::int64_t held_out_evaluations = 0;
  if (points.defined()) {
    std::vector<std::int64_t> seeds(static_cast<std::size_t>(points.size(0)));
    std::iota(seeds.begin(), seeds.end(), kFirstCalibrationSeed + kCalibrationSeeds);
    const Crossing found = find_crossing(*model.denoiser, *s.closed_form->denoiser, points, noise_of(seeds, model.shape),
                                         crossing_levels(model.sigma_min, model.sigma_max, unit_of(model)));
    crossing = found.sigma;
    held_out_evaluations = static_cast<std::int64_t>(found.errors.size()) * points.size(0);
    for (const auto& e : found.errors)
      result["denoising"].push_back({{"sigma", e.sigma}, {"model", e.network}, {"closed_form", e.closed_form}, {"as_good", e.as_good}});
  }
  result["crossing"] = to_json(crossing);

  const Candidates candidates{.skips = o.teleport ? jumps_of(s, model, o.mode) : std::vector<double>{},
                              .switches = o.residual ? switches_to_try(unit_of(model)) : std::vector<double>{},
                              .given = {.sigma_skip = s.teleport ? std::optional(s.teleport->sigma) : std::nullopt, .sigma_c = s.residual}};
  const TeleportMode mode = s.teleport ? s.teleport->mode : o.mode;
  Progress progress(cli, "calibrating", static_cast<std::int64_t>(2 + candidates.skips.size() + candidates.switches.size()), "runs");
  const Tensor reference = draws.reference(crossing);
  std::int64_t done = 1;
  progress.update(done);
  Choice choice = choose_head_start(reference, candidates, [&](const HeadStart& candidate) {
    Tensor ends = draws.with(candidate, mode);
    progress.update(++done);
    return ends;
  });
  HeadStart& best = choice.best;
  if (o.residual && best.sigma_c && !splits_a_step(plan_sampling(chosen(s, o, best), model), *best.sigma_c)) best.sigma_c.reset();
  result["sigma_skip"] = to_json(best.sigma_skip);
  result["sigma_c"] = to_json(best.sigma_c);
  for (const Trial& t : choice.trials)
    result["trials"].push_back(
        {{"sigma_skip", to_json(t.start.sigma_skip)}, {"sigma_c", to_json(t.start.sigma_c)}, {"error", number_or_null(t.error)}});
  result["evaluations"] = draws.evaluations() + held_out_evaluations;
  result["seconds"] = now() - start;
  return result;
}

/// All choices in the file. @throws DataError where it is none
ordered_json read_choices(const std::string& path) {
  ordered_json kept = std::filesystem::exists(path) ? read_json(path) : ordered_json::array();
  if (!kept.is_array()) throw DataError(path, "is no file of head starts: expected a JSON array; choose another --calibration_file");
  return kept;
}

/// That of this key, or null.
ordered_json kept_choice(const std::string& path, const ordered_json& key) {
  for (const auto& entry : read_choices(path))
    if (entry.at("key") == key) return entry.at("result");
  return nullptr;
}

/// Adds one to what is in the file by now.
void keep_choice(const std::string& path, const ordered_json& key, const ordered_json& result) {
  ordered_json kept = read_choices(path);
  kept.push_back({{"key", key}, {"result", result}});
  write_file_atomically(path, kept.dump(1) + "\n");
}

std::string level_text(const ordered_json& level, const char* none) {
  return level.is_null() ? none : fmt::format("{:.3g}", level.get<double>());
}

void print(const ordered_json& result, const Cli& cli) {
  for (const auto& e : result.value("denoising", ordered_json::array()))
    say(cli, fmt::format("  denoising error at sigma {:.3g}: model {:.4g}, closed form {:.4g}", e["sigma"].get<double>(),
                         e["model"].get<double>(), e["closed_form"].get<double>()));
  for (const auto& t : result["trials"])
    say(cli,
        fmt::format("  jump to {}, residual form down to {}: {}", level_text(t["sigma_skip"], "none"), level_text(t["sigma_c"], "none"),
                    t["error"].is_null() ? "diverges" : fmt::format("error {:.4f}", t["error"].get<double>())));
  say(cli, fmt::format("head start: jump to {}, residual form down to {}; {} evaluations of the model, {:.1f} s; {} {}",
                       level_text(result["sigma_skip"], "none"), level_text(result["sigma_c"], "none"),
                       result["evaluations"].get<std::int64_t>(), result["seconds"].get<double>(),
                       result["from_file"].get<bool>() ? "found in" : "kept in", result["file"].get<std::string>()));
}

}  // namespace

void add_auto_options(CLI::App& verb, AutoOptions& options) {
  verb.add_option("--calibration_data", options.data,
                  "of auto: held-out images (DATA), by which the closed form is trusted at high levels");
  verb.add_option("--calibration_file", options.file, "of auto: where choices are kept [TELEPORT_STATS.head_starts.json]");
}

ordered_json choose_start(SamplingOptions& s, const Model& model, const AutoOptions& o, const Cli& cli) {
  const char* option = o.teleport ? "--teleport" : "--residual";
  if (is_stochastic(s.solver) || s.solve.churn.S_churn > 0)
    throw InvalidArgument(fmt::format("{}: expected a noise level with {}, got auto, which compares where paths without new noise end",
                                      option, is_stochastic(s.solver) ? s.solver : "--S_churn"));
  if (s.init) throw InvalidArgument(fmt::format("{}: expected a noise level with --init, got auto, which starts from noise", option));
  SamplingOptions with = s;  // whether solver and grid go with what is to be tried, before any work
  if (o.residual) with.residual = switches_to_try().front();
  if (const auto jumps = jumps_of(s, model, o.mode); o.teleport && !jumps.empty())
    with.teleport = Teleport{.sigma = jumps.front(), .mode = o.mode};
  plan_sampling(with, model);
  const Tensor points = o.data.empty() ? Tensor() : held_out_points(o.data, model);
  const std::string path = o.file.empty() ? s.closed_form->path + ".head_starts.json" : o.file;
  const ordered_json key = key_of(model, s, o, points);
  try {
    ordered_json result = kept_choice(path, key);
    const bool from_file = !result.is_null();
    if (!from_file) {
      { const AtomicFile writable(path); }  // or the work would be lost
      result = measured(model, s, o, points, cli);
      keep_choice(path, key, result);
    }
    s = chosen(s, o, {.sigma_skip = level_of(result.at("sigma_skip")), .sigma_c = level_of(result.at("sigma_c"))});
    result["file"] = path;
    result["from_file"] = from_file;
    print(result, cli);
    return result;
  } catch (const nlohmann::json::exception&) {
    throw DataError(path, "is no file of head starts; choose another --calibration_file");
  }
}

}  // namespace headstart::app
