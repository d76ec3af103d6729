#pragma once
// A sampling run: its plan, its computation, its folder. Shared by `sample` and `demo`.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "closed_form.h"
#include "denoisers.h"
#include "headstart/denoise/observed.h"
#include "headstart/solve/sigmas.h"
#include "headstart/solve/solver.h"
#include "start_images.h"

namespace headstart::app {

/// The folder of a model's statistics, and the hashes of l.npz and sb.npz.
struct V3Files {
  std::string folder{};
  std::vector<std::string> sha256{};
};

struct SamplingOptions {
  std::vector<std::int64_t> seeds;
  std::string seeds_text;
  std::string solver = "heun";
  SolveOptions solve{};             ///< order, lower_order_final, tolerance and churn
  std::string schedule = "karras";  ///< see schedules.h
  KarrasOptions karras{};
  std::vector<double> sigmas{};                  ///< a given grid instead of one by formula
  std::string sigma_max_option = "--sigma_max";  ///< what set the grid's first level, for messages
  std::optional<Teleport> teleport{};
  std::optional<double> residual{};         ///< sigma_c: the Gaussian's part of each step by formula down to there
  std::optional<ClosedForm> closed_form{};  ///< what teleport and residual take their formulas from
  std::optional<StartImages> init{};        ///< the noise is added to these
  std::optional<V3Files> v3{};              ///< where solve.v3 is from
  double sigma_start = 0;  ///< where the noise is, if that is above the grid: the closed form carries the state to the grid's first level
  std::int64_t batch = 64;
  OnEvaluation on_evaluation{};  ///< watches; changes no picture
};

/// The grid split by the jump.
struct SamplingPlan {
  std::vector<double> skipped;  ///< levels jumped over, the starting level first; empty without teleport
  std::vector<double> sigmas;   ///< what the solver works on
  double sigma_start = 0;       ///< where the noise is; above sigmas.front() where a closed form carries the state there
};

/// Whether the residual form down to sigma_c changes anything: the first step at least must end at or above it.
inline bool splits_a_step(const SamplingPlan& plan, double sigma_c) { return sigma_c <= plan.sigmas[1]; }

/// @throws InvalidArgument naming the option where grid, network range, solver and head start do not fit together
SamplingPlan plan_sampling(const SamplingOptions& options, const Model& model);

/// Seeds, their samples [B, D] and the evaluations each cost.
using TakeSamples = std::function<void(const std::vector<std::int64_t>&, const torch::Tensor&, std::int64_t nfe)>;

/// Draws the seeds in batches and hands each over as [B, D] float64 in data units.
/// @return evaluations a sample, counted
/// @throws Interrupted between two steps after a signal
std::int64_t draw_samples(const Model& model, const SamplingOptions& options, const SamplingPlan& plan,
                          const std::vector<std::int64_t>& seeds, const TakeSamples& take);

/// Every setting that decides what a picture looks like; equal settings give equal pictures.
nlohmann::ordered_json describe(const Model& model, const SamplingOptions& options, const SamplingPlan& plan);

/// Takes out of these settings what only says where something is: its content has a hash of its own.
void erase_paths(nlohmann::ordered_json& settings);

/// Data units to bytes, [B, D] -> B*D values in order C, H, W.
std::vector<std::uint8_t> to_pixels(const Model& model, const torch::Tensor& samples);

}  // namespace headstart::app
