#pragma once
// Grids of noise levels chosen for a model and a number of steps, by dynamic programming over the errors of single steps.

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "headstart/denoise/denoiser.h"

namespace headstart {

/// A model's sampling paths, followed accurately.
struct GridPaths {
  std::vector<double> sigmas;  ///< M levels, descending, > 0
  torch::Tensor states;        ///< [M, K, D] float64
  torch::Tensor denoised;      ///< [M, K, D] float64, the estimates there
};

/// Follows x from sigmas.front() by Heun's method on the levels. Evaluations: 3 M - 2.
/// @param x       [K, D] float64
/// @param sigmas  strictly descending, > 0; as many as the solution needs to be accurate
/// @throws InvalidArgument on another shape or grid
GridPaths follow_paths(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas);

/// For each number of steps, the levels among those of the paths that DPM-Solver++ (2M) should be best with, and a final 0.
///
/// The error of each possible step from an accurate state, with each possible level before it, is carried to the end by the linear flow of
/// the Gaussian that the paths' ends have (its leading directions, and one variance for the rest). A grid's error is the sum of its steps'
/// mean squares, as if they were independent, which dynamic programming over pairs of neighbouring levels makes least. The first level is
/// the paths' first; the last step, the final denoise, may leave from any.
/// @param steps  numbers of positive levels, each 1 to M
/// @throws InvalidArgument on fewer than 3 levels or 2 paths, or steps out of range
/// Cost O(K D M^2 + M^3 max(steps)). Source: after arXiv 2106.03802 and 2409.18170, which choose levels by dynamic programming too.
std::map<std::int64_t, std::vector<double>> optimised_grids(const GridPaths& paths, const std::vector<std::int64_t>& steps);

/// Optimised grids in a file, by their number of steps.
struct GridFile {
  std::string network_sha256{};
  std::map<std::int64_t, std::vector<double>> grids{};
};

/// Writes JSON. @throws DataError where it cannot be written
void save_grids(const std::string& path, const GridFile& file);

/// @throws DataError where the file is missing, no such JSON, or holds a grid that is none
GridFile load_grids(const std::string& path);

}  // namespace headstart
