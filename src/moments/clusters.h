#pragma once
// k-means over points that are read several times: what fit_kmeans and fit_mixture share.

#include <torch/types.h>

#include "headstart/moments/kmeans.h"
#include "points.h"

namespace headstart {

/// As fit_kmeans; limit, memory and on_progress are the points' own.
KMeans cluster(const Points& points, const KMeansOptions& options);

/// For points x [B, D] and centres [K, D] about the same origin, both float32: number of the nearest centre and squared distance, [B] each.
std::pair<torch::Tensor, torch::Tensor> nearest(const torch::Tensor& x, const torch::Tensor& centres);

}  // namespace headstart
