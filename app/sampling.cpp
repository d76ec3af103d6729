#include "sampling.h"

#include "cli.h"
#include "headstart/data/pixels.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/denoise/switched.h"
#include "headstart/error.h"
#include "headstart/solve/noise.h"
#include "headstart/solve/residual.h"
#include "headstart/solve/solver.h"
#include "v3_stats.h"

namespace headstart::app {
namespace {

Solver solver_of(const SamplingOptions& o) {
  if (!o.residual) return find_solver(o.solver);
  return residual_solver(o.solver, std::make_shared<GaussianPart>(*o.closed_form->gaussian), {.sigma_c = *o.residual});
}

bool replaces(const SamplingOptions& o) { return o.teleport && o.teleport->mode == TeleportMode::replace; }

/// Noise of each seed, on its picture where there are any, at the solver's first level.
torch::Tensor starting_state(const SamplingOptions& o, const SamplingPlan& plan, const std::vector<std::int64_t>& seeds,
                             SeededNoise& noise) {
  torch::Tensor x = noise.next() * plan.sigma_start;
  if (o.init) x += o.init->of(seeds);
  if (plan.sigma_start == plan.sigmas.front()) return x;
  const SigmaStep jump{.from = plan.sigma_start, .to = plan.sigmas.front()};
  return is_stochastic(o.solver) ? carry(*o.closed_form, x, jump, noise) : carry(*o.closed_form, x, jump);
}

void describe_churn(nlohmann::ordered_json& json, const Churn& churn) {
  if (churn.S_churn == 0) return;
  json["S_churn"] = churn.S_churn;
  json["S_min"] = churn.S_min;
  json["S_max"] = number_or_null(churn.S_max);
  json["S_noise"] = churn.S_noise;
}

void describe_head_start(nlohmann::ordered_json& json, const SamplingOptions& o, const SamplingPlan& plan) {
  json["teleport"] = o.teleport ? to_string(o.teleport->mode) : "off";
  json["sigma_skip"] = nullptr;
  if (o.teleport) {
    json["sigma_skip"] = replaces(o) ? o.teleport->sigma : plan.sigmas.front();
    json["teleport_sigma"] = o.teleport->sigma;
  }
  if (o.residual) json["residual"] = *o.residual;
  if (o.closed_form) {
    json["teleport_stats"] = o.closed_form->path;
    json["teleport_stats_sha256"] = o.closed_form->sha256;
    json.update(o.closed_form->settings);
  }
}

}  // namespace

std::int64_t draw_samples(const Model& model, const SamplingOptions& o, const SamplingPlan& plan, const std::vector<std::int64_t>& seeds,
                          const TakeSamples& take) {
  const MicroBatched batched(*model.denoiser);
  const Counted counted(batched);
  std::optional<MicroBatched> closed;
  std::optional<Switched> switched;
  if (replaces(o)) switched.emplace(closed.emplace(*o.closed_form->denoiser), counted, o.teleport->sigma);
  const Observed observed(switched ? static_cast<const Denoiser&>(*switched) : counted, o.on_evaluation);
  const Solver solver = solver_of(o);
  SolveOptions options = o.solve;
  options.churn.highest = model.sigma_max;
  options.on_step = [](std::size_t, const torch::Tensor&) { stop_if_interrupted(); };
  std::int64_t batches = 0;
  for (std::size_t begin = 0; begin < seeds.size(); begin += static_cast<std::size_t>(o.batch), ++batches) {
    stop_if_interrupted();
    const auto end = std::min(seeds.size(), begin + static_cast<std::size_t>(o.batch));
    const std::vector<std::int64_t> some(seeds.begin() + static_cast<std::ptrdiff_t>(begin),
                                         seeds.begin() + static_cast<std::ptrdiff_t>(end));
    SeededNoise noise(some, model.shape);
    options.noise = [&] { return noise.next(); };
    const torch::Tensor x = solver(observed, starting_state(o, plan, some, noise), plan.sigmas, options);
    if (!x.isfinite().all().item<bool>()) throw NumericalError(model.path + ": sampling gave values that are not finite");
    take(some, x, counted.nfe() / (batches + 1));
  }
  return batches > 0 ? counted.nfe() / batches : 0;
}

nlohmann::ordered_json describe(const Model& model, const SamplingOptions& o, const SamplingPlan& plan) {
  nlohmann::ordered_json json;
  json[model.kind] = model.path;
  json["model_sha256"] = model.sha256;
  json.update(model.settings);
  json["shape"] = to_string(model.shape);
  json["range"] = {model.range_low, model.range_high};
  json["solver"] = o.solver;
  if (o.solve.order > 0) json["order"] = o.solve.order;
  if (o.solve.lower_order_final) json["lower_order_final"] = true;
  if (o.solver == "rk45") json["tolerance"] = o.solve.tolerance;
  describe_churn(json, o.solve.churn);
  json["steps"] = o.sigmas.empty() ? o.karras.steps : static_cast<std::int64_t>(o.sigmas.size()) - (o.sigmas.back() == 0 ? 1 : 0);
  if (o.sigmas.empty()) {
    json["schedule"] = o.schedule;
    json["sigma_min"] = o.karras.sigma_min;
    json["sigma_max"] = o.karras.sigma_max;
    if (o.schedule == "karras") json["rho"] = o.karras.rho;
    json["denoise_to_zero"] = o.karras.final_zero;
  } else {
    json["schedule"] = o.schedule == "optimised" ? o.schedule : "given";
  }
  describe_head_start(json, o, plan);
  json["sigma_start"] = plan.sigma_start;
  if (o.init) {
    json["init"] = o.init->path;
    json["init_count"] = o.init->count;
    json["init_sha256"] = o.init->sha256;
  }
  describe_v3(o, json);
  json["sigmas"] = plan.sigmas;
  json["skipped_sigmas"] = plan.skipped;
  json["seeds"] = o.seeds_text;
  return json;
}

void erase_paths(nlohmann::ordered_json& settings) {
  for (const char* path : {"network", "stats", "exact", "smooth", "limit", "teleport_stats", "init", "v3_stats"}) settings.erase(path);
}

std::vector<std::uint8_t> to_pixels(const Model& model, const torch::Tensor& samples) {
  const double scale = 2 / (model.range_high - model.range_low);
  const torch::Tensor unit = ((samples - model.range_low) * scale - 1).to(torch::kCPU, torch::kFloat64).contiguous();
  return to_uint8(std::span<const double>(unit.data_ptr<double>(), static_cast<std::size_t>(unit.numel())));
}

}  // namespace headstart::app
