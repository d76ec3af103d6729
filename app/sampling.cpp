#include "sampling.h"

#include <fmt/format.h>

#include "cli.h"
#include "headstart/data/pixels.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/solve/noise.h"
#include "headstart/solve/residual.h"
#include "headstart/solve/solver.h"
#include "schedules.h"
#include "v3_stats.h"

namespace headstart::app {

namespace {

Solver solver_of(const SamplingOptions& o) {
  if (!o.residual) return find_solver(o.solver);
  return residual_solver(o.solver, std::make_shared<GaussianPart>(*o.gaussian->stats), *o.residual);
}

}  // namespace

void require_fit(const char* option, const GaussianStats& stats, const Model& model) {
  if (stats.shape != model.shape)
    throw InvalidArgument(fmt::format("{}: expected statistics of shape {} as in {}, got {}", option, to_string(model.shape), model.path,
                                      to_string(stats.shape)));
  if (stats.range_low != model.range_low || stats.range_high != model.range_high)
    throw InvalidArgument(fmt::format("{}: expected statistics of range [{}, {}] as in {}, got [{}, {}]", option, model.range_low,
                                      model.range_high, model.path, stats.range_low, stats.range_high));
}

SamplingPlan plan_sampling(const SamplingOptions& o, const Model& model) {
  if (const auto most = most_order(o.solver); o.solve.order > most)
    throw InvalidArgument(most == 0 ? fmt::format("--order: expected with a multistep solver, got it with {}", o.solver)
                                    : fmt::format("--order: expected 1 to {} with {}, got {}", most, o.solver, o.solve.order));
  if (o.solve.lower_order_final && most_order(o.solver) == 0)
    throw InvalidArgument(fmt::format("--lower_order_final: expected with a multistep solver, got it with {}", o.solver));
  if (!(o.solve.tolerance >= 1e-12)) throw InvalidArgument(fmt::format("--tolerance: expected at least 1e-12, got {}", o.solve.tolerance));
  if (o.solve.tolerance != SolveOptions().tolerance && o.solver != "rk45")
    throw InvalidArgument(fmt::format("--tolerance: expected with --solver rk45, got it with {}", o.solver));
  if (!o.sigmas.empty()) require_sigmas("--sigmas", o.sigmas);
  const std::vector<double> grid = o.sigmas.empty() ? grid_of(o.schedule, o.karras) : o.sigmas;
  SamplingPlan plan{.skipped = {}, .sigmas = grid, .sigma_start = grid.front()};
  if (o.gaussian) require_fit("--teleport_stats", *o.gaussian->stats, model);
  if (o.residual) solver_of(o);  // refuses a solver that has no such form
  if (o.teleport) {
    const Teleport& t = *o.teleport;
    const double lowest = grid.back() > 0 ? grid.back() : grid[grid.size() - 2];
    if (!(t.sigma >= lowest && t.sigma <= grid.front()))
      throw InvalidArgument(
          fmt::format("--teleport: expected a level in the grid's range [{}, {}], got {}", lowest, grid.front(), t.sigma));
    if (t.mode == TeleportMode::tail) {
      plan.sigmas = tail_of(grid, t.sigma);
      plan.skipped.assign(grid.begin(), grid.end() - static_cast<std::ptrdiff_t>(plan.sigmas.size()));
    } else {
      if (!o.sigmas.empty()) throw InvalidArgument("--teleport_mode: expected tail with --sigmas, whose levels are given, got respaced");
      KarrasOptions below = o.karras;
      below.sigma_max = t.sigma;
      plan.sigmas = grid_of(o.schedule, below);
      if (t.sigma < grid.front()) plan.skipped = {grid.front()};
    }
  }
  if (plan.sigmas.size() < 2) throw InvalidArgument("--steps: expected at least two levels below the jump (a final 0 counts), got one");
  require_v3_range(o, plan.sigmas);
  require_sigmas("--steps, --rho", plan.sigmas);  // an extreme rho makes levels that coincide or overflow
  const double lowest = plan.sigmas.back() > 0 ? plan.sigmas.back() : plan.sigmas[plan.sigmas.size() - 2];
  if (plan.sigmas.front() > model.sigma_max * (1 + 1e-9))
    throw InvalidArgument(fmt::format("--sigma_max: expected at most {}, the largest level {} was trained on, got {}", model.sigma_max,
                                      model.path, plan.sigmas.front()));
  if (lowest < model.sigma_min * (1 - 1e-9))
    throw InvalidArgument(fmt::format("--sigma_min: expected at least {}, the smallest level {} was trained on, got {}", model.sigma_min,
                                      model.path, lowest));
  return plan;
}

std::int64_t draw_samples(const Model& model, const SamplingOptions& o, const SamplingPlan& plan, const std::vector<std::int64_t>& seeds,
                          const TakeSamples& take) {
  const MicroBatched batched(*model.denoiser);
  const Counted counted(batched);
  const Observed observed(counted, o.on_evaluation);
  const Solver solver = solver_of(o);
  SolveOptions options = o.solve;
  options.on_step = [](std::size_t, const torch::Tensor&) { stop_if_interrupted(); };
  std::int64_t batches = 0;
  for (std::size_t begin = 0; begin < seeds.size(); begin += static_cast<std::size_t>(o.batch), ++batches) {
    stop_if_interrupted();
    const auto end = std::min(seeds.size(), begin + static_cast<std::size_t>(o.batch));
    const std::vector<std::int64_t> some(seeds.begin() + static_cast<std::ptrdiff_t>(begin),
                                         seeds.begin() + static_cast<std::ptrdiff_t>(end));
    SeededNoise noise(some, model.shape);
    torch::Tensor x = noise.next() * plan.sigma_start;
    options.noise = [&] { return noise.next(); };
    if (o.teleport) x = teleport(*o.gaussian->stats, x, plan.sigma_start, plan.sigmas.front());
    x = solver(observed, x, plan.sigmas, options);
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
  json["teleport"] = o.teleport ? (o.teleport->mode == TeleportMode::tail ? "tail" : "respaced") : "off";
  json["sigma_skip"] = o.teleport ? nlohmann::ordered_json(plan.sigmas.front()) : nlohmann::ordered_json(nullptr);
  if (o.teleport) {
    json["teleport_sigma"] = o.teleport->sigma;
  }
  if (o.residual) json["residual"] = *o.residual;
  if (o.gaussian) {
    json["teleport_stats"] = o.gaussian->path;
    json["teleport_stats_sha256"] = o.gaussian->sha256;
  }
  describe_v3(o, json);
  json["sigmas"] = plan.sigmas;
  json["skipped_sigmas"] = plan.skipped;
  json["seeds"] = o.seeds_text;
  return json;
}

std::vector<std::uint8_t> to_pixels(const Model& model, const torch::Tensor& samples) {
  const double scale = 2 / (model.range_high - model.range_low);
  const torch::Tensor unit = ((samples - model.range_low) * scale - 1).to(torch::kCPU, torch::kFloat64).contiguous();
  return to_uint8(std::span<const double>(unit.data_ptr<double>(), static_cast<std::size_t>(unit.numel())));
}

}  // namespace headstart::app
