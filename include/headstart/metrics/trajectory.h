#pragma once
// A sampling path beside the path a Gaussian predicts from the same noise: how close, how flat, when each eigenmode is decided, what a
// kick does, and what the denoiser's Jacobian sees. Source of all predictions: arXiv 2412.09726, section on trajectories.

#include <torch/types.h>

#include <vector>

#include "headstart/denoise/denoiser.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// States and denoised estimates of K seeds at L levels, as a sampler held them.
struct RecordedPaths {
  std::vector<double> sigmas;  ///< [L], strictly descending; a final 0 holds the samples in both
  torch::Tensor states;        ///< [K, L, D]
  torch::Tensor denoised;      ///< [K, L, D]
};

/// What the Gaussian misses of the paths, level by level.
struct PathAgreement {
  torch::Tensor state;     ///< [L] sum over seeds of |x - x_G|^2 over that of |x - mean|^2
  torch::Tensor denoised;  ///< [L] the same for the denoised estimates
  torch::Tensor modes;     ///< [L, M] 1 - that ratio for the estimates' coordinate along each of the first M eigenvectors
};

/// @param modes  M, at most R
/// @throws InvalidArgument on shapes that do not fit
/// Cost O(K L D R).
PathAgreement path_agreement(const GaussianStats& stats, const RecordedPaths& paths, std::int64_t modes);

/// How much of a path lies in its own first directions: principal components of its L states about their mean, averaged over the seeds.
/// @param states  [K, L, D], L >= 2
/// @return        [count] cumulative shares of the variance, ascending to at most 1
/// @throws InvalidArgument on another shape. Cost O(K D L^2).
torch::Tensor path_directions(const torch::Tensor& states, std::int64_t count);

/// The level at which each eigenmode is decided: where the denoised estimate's coordinate has come to 1 / sqrt 2 of what it ends with,
/// fitted over the seeds and interpolated in ln sigma. For the Gaussian the coordinate is sqrt(lambda / (lambda + sigma^2)) of its last,
/// so the prediction is sigma = sqrt(lambda) exactly.
/// @return [M]; NaN where the share never crosses within the levels
/// @throws InvalidArgument where the paths do not end in 0, or shapes do not fit
torch::Tensor decided_levels(const GaussianStats& stats, const RecordedPaths& paths, std::int64_t modes);

struct Kick {
  std::int64_t mode = 0;  ///< eigenvector of the statistics
  double size = 0;        ///< data units
};

/// How much of a kick along an eigenmode is left at the end: (end of the kicked path - end of the path) . u / size. For the Gaussian it is
/// sqrt(lambda / (lambda + sigma^2)), sigma the level of the kick.
/// @param x       [K, D] float64, states at sigmas.front()
/// @param sigmas  the rest of a grid; Heun's method runs on it twice
/// @return        [K]
/// @throws InvalidArgument on a mode or size out of range, and as sample_heun
torch::Tensor kick_response(const Denoiser& denoiser, const GaussianStats& stats, const torch::Tensor& x, const std::vector<double>& sigmas,
                            const Kick& kick);
/// sqrt(eigenvalue / (eigenvalue + sigma^2)).
double predicted_kick_response(double eigenvalue, double sigma);

/// Leading eigenpairs of the denoiser's Jacobian dD/dx = Cov[x0 | x] / sigma^2 at one point.
struct JacobianModes {
  torch::Tensor eigenvalues;  ///< [M] descending; lambda / (lambda + sigma^2) for a Gaussian
  torch::Tensor basis;        ///< [D, M]
};
struct JacobianOptions {
  std::int64_t modes = 8;
  std::int64_t oversampling = 8;
  std::int64_t iterations = 4;
  double step = 0.1;  ///< of the central differences, in units of sigma along a unit vector: large, as networks answer in float32
  std::uint64_t seed = 0;
};
/// Randomised subspace iteration on central differences, symmetrised. Evaluations: 2 (modes + oversampling) an iteration.
/// @param x  [D]. @throws InvalidArgument on another shape, or more modes than D
JacobianModes jacobian_modes(const Denoiser& denoiser, const torch::Tensor& x, double sigma, const JacobianOptions& options = {});

/// Mean squared cosine of the principal angles between two subspaces: |A^T B|_F^2 / M. 1: equal; about M / D: unrelated.
/// @param a, b  [D, M], orthonormal columns
double subspace_overlap(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace headstart
