#pragma once
// The statistics of DPM-Solver-v3 (solve/dpm_v3.h): estimated from a model, and their files.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "headstart/data/image_shape.h"
#include "headstart/denoise/denoiser.h"
#include "headstart/solve/dpm_v3.h"

namespace headstart {

struct V3EstimateOptions {
  std::int64_t cells = 120;  ///< N: the levels are N + 1
  double sigma_min = 0.002;
  double sigma_max = 80;
  std::uint64_t seed = 0;                        ///< of the random signs
  std::function<void(std::int64_t)> on_level{};  ///< levels done; may throw to stop
};

/// Estimates them at x0 + sigma n for each level, with the same data and noise at all of them, so that what chance adds is smooth in sigma.
///
/// The diagonal of the Jacobian is estimated with one vector of random signs a point (Hutchinson), products with it and the derivative
/// along the flow by differences of the denoised estimate. s is taken to be 0 where n does not vary, and is never beyond +-4.
/// @param data   [K, D] clean points, data units
/// @param noise  [K, D] standard normal
/// @throws InvalidArgument on another shape, K < 2, cells < 1 or a range that is none; NumericalError where an estimate is not finite
/// Cost 3 (N + 1) evaluations of K points; memory of 13 arrays [N + 1, D]. Source: arXiv 2310.13268, appendix C.1.1.
V3Statistics estimate_v3(const Denoiser& denoiser, const torch::Tensor& data, const torch::Tensor& noise,
                         const V3EstimateOptions& options = {});

/// The same without data: at the states of the model's own sampling paths from sigma_max * noise, by DPM-Solver++ (2M) on the levels.
/// Cost 4 N + 3 evaluations of K points.
V3Statistics estimate_v3_on_paths(const Denoiser& denoiser, const torch::Tensor& noise, const V3EstimateOptions& options = {});

/// Writes `l.npz` (key l) and `sb.npz` (keys s, b) into an existing folder, float32 [N + 1, C, H, W] as the authors' program has them, and
/// their range as `range.json`. @throws DataError where a file cannot be written
void save_v3(const std::string& folder, const V3Statistics& statistics, const ImageShape& shape);

/// Reads them.
/// @param range  sigma_min and sigma_max of the first and last level; nothing: those of range.json, which the authors' folders lack
/// @throws DataError where a file or key is missing, or an array is not [N + 1, C, H, W]; InvalidArgument on a range that is none
V3Statistics load_v3(const std::string& folder, const ImageShape& shape, std::optional<std::pair<double, double>> range = {});

}  // namespace headstart
