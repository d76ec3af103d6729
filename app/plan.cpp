// The checks of a sampling run, and its grid.

#include <fmt/format.h>

#include <algorithm>

#include "headstart/error.h"
#include "headstart/solve/residual.h"
#include "sampling.h"
#include "schedules.h"
#include "v3_stats.h"

namespace headstart::app {
namespace {

constexpr double kSlack = 1e-9;  // ends of a range that went through text

void require_multistep_options(const SamplingOptions& o) {
  if (const auto most = most_order(o.solver); o.solve.order > most)
    throw InvalidArgument(most == 0 ? fmt::format("--order: expected with a multistep solver, got it with {}", o.solver)
                                    : fmt::format("--order: expected 1 to {} with {}, got {}", most, o.solver, o.solve.order));
  if (o.solve.lower_order_final && most_order(o.solver) == 0)
    throw InvalidArgument(fmt::format("--lower_order_final: expected with a multistep solver, got it with {}", o.solver));
}

void require_tolerance(const SamplingOptions& o) {
  if (!(o.solve.tolerance >= 1e-12)) throw InvalidArgument(fmt::format("--tolerance: expected at least 1e-12, got {}", o.solve.tolerance));
  if (o.solve.tolerance != SolveOptions().tolerance && o.solver != "rk45")
    throw InvalidArgument(fmt::format("--tolerance: expected with --solver rk45, got it with {}", o.solver));
}

void require_churn(const SamplingOptions& o) {
  const Churn& churn = o.solve.churn;
  if (!(churn.S_churn >= 0)) throw InvalidArgument(fmt::format("--S_churn: expected a number >= 0, got {}", churn.S_churn));
  if (!(churn.S_min <= churn.S_max))
    throw InvalidArgument(fmt::format("--S_min: expected a level of at most --S_max, {}, got {}", churn.S_max, churn.S_min));
  if (!(churn.S_noise >= 0)) throw InvalidArgument(fmt::format("--S_noise: expected a number >= 0, got {}", churn.S_noise));
  const Churn usual{};
  if (churn.S_churn == 0 && (churn.S_min != usual.S_min || churn.S_max != usual.S_max || churn.S_noise != usual.S_noise))
    throw InvalidArgument("--S_min, --S_max, --S_noise: expected with --S_churn above 0");
  if (churn.S_churn > 0 && o.solver != "heun")
    throw InvalidArgument(fmt::format("--S_churn: expected with --solver heun, got it with {}", o.solver));
}

void require_residual(const SamplingOptions& o) {
  if (!o.residual) return;
  residual_solver(o.solver, nullptr);  // throws where it has no such form
  if (!o.closed_form->gaussian)
    throw InvalidArgument(fmt::format("--teleport_stats: expected one Gaussian with --residual, got the mixture {}", o.closed_form->path));
}

void require_sigma_skip(const Teleport& t, const std::vector<double>& grid) {
  if (!(t.sigma >= smallest_level(grid) && t.sigma <= grid.front()))
    throw InvalidArgument(
        fmt::format("--teleport: expected a level in the grid's range [{}, {}], got {}", smallest_level(grid), grid.front(), t.sigma));
}

/// The grid, and what a jump leaves of it.
SamplingPlan split(const SamplingOptions& o, const std::vector<double>& grid, const std::vector<double>& table) {
  SamplingPlan plan{.skipped = {}, .sigmas = grid, .sigma_start = std::max(o.sigma_start, grid.front())};
  if (!o.teleport || o.teleport->mode == TeleportMode::replace) return plan;
  if (o.teleport->mode == TeleportMode::tail) {
    plan.sigmas = tail_of(grid, o.teleport->sigma);
    plan.skipped.assign(grid.begin(), grid.end() - static_cast<std::ptrdiff_t>(plan.sigmas.size()));
    return plan;
  }
  if (!o.sigmas.empty())
    throw InvalidArgument(fmt::format("--teleport_mode: expected tail or replace with {}, whose levels are given, got respaced",
                                      o.schedule == "optimised" ? "--grid_file" : "--sigmas"));
  KarrasOptions below = o.karras;
  below.sigma_max = o.teleport->sigma;
  plan.sigmas = grid_of(o.schedule, below, table);
  if (o.teleport->sigma < grid.front()) plan.skipped = {grid.front()};
  return plan;
}

/// The model is not evaluated outside the levels it was trained on; above them a closed form can stand in for it.
void require_trained_levels(const SamplingOptions& o, const Model& model, const SamplingPlan& plan) {
  const bool replaces = o.teleport && o.teleport->mode == TeleportMode::replace;
  const double first = replaces ? o.teleport->sigma : plan.sigmas.front(), last = smallest_level(plan.sigmas);
  if (first > model.sigma_max * (1 + kSlack))
    throw InvalidArgument(fmt::format("{}: expected at most {}, the largest level {} was trained on, got {}{}",
                                      o.teleport ? "--teleport" : o.sigma_max_option, model.sigma_max, model.path, first,
                                      o.teleport ? "" : "; --teleport starts above it and jumps to where the network can begin"));
  if (last < model.sigma_min * (1 - kSlack))
    throw InvalidArgument(fmt::format("{}: expected at least {}, the smallest level {} was trained on, got {}",
                                      o.sigmas.empty() ? "--sigma_min" : "--sigmas", model.sigma_min, model.path, last));
}

}  // namespace

SamplingPlan plan_sampling(const SamplingOptions& o, const Model& model) {
  require_multistep_options(o);
  require_tolerance(o);
  require_churn(o);
  require_residual(o);
  if (!o.sigmas.empty()) require_sigmas("--sigmas", o.sigmas);
  const std::vector<double> grid = o.sigmas.empty() ? grid_of(o.schedule, o.karras, model.table) : o.sigmas;
  if (o.teleport) require_sigma_skip(*o.teleport, grid);
  SamplingPlan plan = split(o, grid, model.table);
  if (plan.sigmas.size() < 2) throw InvalidArgument("--steps: expected at least two levels below the jump (a final 0 counts), got one");
  require_sigmas("--steps, --rho", plan.sigmas);  // an extreme rho makes levels that coincide or overflow
  require_v3_range(o, plan.sigmas);
  require_trained_levels(o, model, plan);
  return plan;
}

}  // namespace headstart::app
