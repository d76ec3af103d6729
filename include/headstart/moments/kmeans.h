#pragma once
// Clusters of a stream by k-means: where the components of a mixture start.

#include <torch/types.h>

#include <cstdint>
#include <functional>

#include "headstart/data/image_stream.h"

namespace headstart {

struct KMeansOptions {
  std::int64_t components = 1;       ///< K, 1 to N
  std::uint64_t seed = 0;            ///< of the first centres
  std::int64_t max_iterations = 20;  ///< passes over the data
  double tolerance = 1e-3;           ///< stop where the inertia fell by less than this share in a pass
  std::int64_t mini_batch = 0;       ///< points between two updates; 0: all of them (Lloyd's algorithm)
  std::int64_t limit = 0;            ///< first images only; 0: all
  double memory = 0;                 ///< bytes of data that may be held; streamed anew in each pass where they take more
  std::function<void(std::int64_t, std::int64_t)> on_progress{};  ///< (pass from 1, points of it so far); may throw to stop
};

struct KMeans {
  torch::Tensor centres;  ///< [K, D] float64
  torch::Tensor counts;   ///< [K] int64, points nearest to each centre in the last pass
  double inertia = 0;     ///< mean squared distance to the nearest centre in the last pass, data units squared
  std::int64_t iterations = 0;
  std::int64_t reseeded = 0;  ///< centres that had lost all of their points and were moved
};

/// k-means from k-means++ centres, which are drawn from a sample of max(4096, 50 K) points.
///
/// Lloyd's algorithm moves each centre to the mean of its points after each pass, mini-batches after each batch, to the mean of all points
/// it has ever had. A centre without points goes to the point of the sample that is farthest from all others. The same seed gives the same
/// centres on any number of threads.
///
/// @throws InvalidArgument on components outside [1, N] or options out of range; what the stream throws
/// Cost 2 N D K flops a pass. Memory: the sample, 8 K D bytes and a batch, besides the data that are held. Source: Arthur & Vassilvitskii,
/// SODA 2007; Sculley, WWW 2010.
KMeans fit_kmeans(ImageStream& stream, const KMeansOptions& options);

}  // namespace headstart
