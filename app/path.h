#pragma once
// What a sampler held at each noise level: recorded, kept in a run's folder, compared with the closed form.

#include <torch/types.h>

#include <string>
#include <vector>

#include "drawing.h"
#include "headstart/moments/gaussian_stats.h"
#include "headstart/report/report.h"
#include "sampling.h"

namespace headstart::app {

/// States and denoised estimates of some seeds. A final level 0 holds the samples themselves in both.
struct Path {
  std::vector<std::int64_t> seeds;
  std::vector<double> sigmas;  ///< [L], every level at which the model was evaluated, descending
  torch::Tensor states;        ///< [K, L, D] float32
  torch::Tensor denoised;      ///< [K, L, D] float32
  ImageShape shape;
  ValueRange range;
};

/// Draws the seeds once more and keeps what the model saw and answered; at a level seen twice (Heun), what it saw last, which is the state
/// the solver keeps. Of solvers that correct a state after evaluating it (UniPC, dpm_v3 with its corrector) these are the predictions.
/// Costs one small batch of samples.
Path record_path(const Model& model, SamplingOptions options, const SamplingPlan& plan, const std::vector<std::int64_t>& seeds);

/// Tensors seeds, sigmas, states, denoised; metadata format=headstart-path, shape, range. @throws DataError where it cannot be written
void save_path(const std::string& file, const Path& path);

/// @throws DataError where the file is missing, no path, or inconsistent
Path load_path(const std::string& file);

/// The paths as a report shows them, beside the Gaussian's own path from the same first state where `stats` is not null.
/// Empty where the points are no pictures.
std::vector<SamplingPath> drawn_paths(const Path& path, const GaussianStats* stats);

}  // namespace headstart::app
