#pragma once
// How unlike the training data a point is, by the closed forms and by any denoiser's score.

#include <torch/types.h>

#include <vector>

#include "headstart/denoise/denoiser.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// Squared Mahalanobis distance (x - mean)^T (Sigma + sigma^2 I)^-1 (x - mean) under the fitted Gaussian at noise level sigma.
/// @param x      [B, D], float32 or float64
/// @param sigma  > 0: it keeps directions without variance from deciding alone
/// @return       [B] float64; about D for points of the Gaussian itself
/// @throws InvalidArgument on a shape mismatch or sigma <= 0
/// Cost 2 B D R flops.
torch::Tensor mahalanobis(const GaussianStats& stats, const torch::Tensor& x, double sigma);

/// sigma |score(x; sigma)| = |x - D(x; sigma)| / sigma at each level, without noise added: [B, S] float64. sqrt(D) for points that lie as
/// far from the data as noise of that level would take them. Source: multi-scale score norms, Mahmood et al., arXiv 2010.13132.
/// @throws InvalidArgument as denoise, and without a level
torch::Tensor score_norms(const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas);

/// One number for vectors of norms: squared Mahalanobis distance to the vectors of known inliers, by their mean and covariance.
/// @param inliers  [N, S], N > S; vectors [B, S]
/// @return         [B]
/// @throws InvalidArgument on shapes that do not fit; NumericalError where the inliers' covariance is singular
torch::Tensor distance_to_inliers(const torch::Tensor& inliers, const torch::Tensor& vectors);

/// Probability that an outlier scores higher than an inlier, ties counting half (area under the ROC curve).
/// @param inliers, outliers  [N], [M], finite
/// @throws InvalidArgument where either is empty or not finite
/// Cost O((N + M) log (N + M)).
double auroc(const torch::Tensor& inliers, const torch::Tensor& outliers);

}  // namespace headstart
