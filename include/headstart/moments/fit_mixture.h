#pragma once
// Mixtures of Gaussians fitted by expectation maximisation.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "headstart/data/image_stream.h"
#include "headstart/moments/mixture_stats.h"

namespace headstart {

enum class CovarianceKind {
  lowrank,   ///< R directions and one variance for all others (probabilistic principal components)
  full,      ///< all D directions: K D x D matrices
  diagonal,  ///< all D axes, each with its own variance; in this form as dear as full ones
  subspaces  ///< lowrank with a variance of 0 for all others: each point belongs to the affine subspace that is nearest (K subspaces)
};

/// "lowrank", "full", "diag", "subspaces".
std::string to_string(CovarianceKind kind);

struct MixtureOptions {
  std::int64_t components = 1;  ///< K, 1 to N; of each class where fitted class by class
  std::int64_t rank = 0;        ///< R, 1 to D; 0: min(32, D) for lowrank and subspaces; D for full and diagonal
  CovarianceKind covariance = CovarianceKind::lowrank;
  std::uint64_t seed = 0;             ///< of the first centres and directions
  std::int64_t max_iterations = 100;  ///< passes over the data after the first ones
  double tolerance = 0.01;       ///< stop where the log-likelihood rose by less in a pass; nats a point (subspaces: data units squared)
  double variance_floor = 1e-4;  ///< least variance in any direction, as a share of the data's mean variance
  double held_out = 0;           ///< share of the points, in [0, 0.5], that are not fitted but measured on: every n-th
  std::int64_t limit = 0;        ///< first images only; 0: all
  double memory = 0;             ///< bytes of data that may be held; streamed anew in each pass where they take more
  std::function<void(std::int64_t, std::int64_t)> on_progress{};  ///< (pass from 1, points of it so far); may throw to stop
};

struct MixtureFit {
  MixtureStats stats;
  /// Mean log-likelihood of the fitted points before each update and at the end, nats a point; never falls, but where a component was put
  /// somewhere else. Subspaces have no density: minus the mean squared distance to the nearest one.
  std::vector<double> history{};
  double log_likelihood = 0;                                                  ///< the last of these; NaN for subspaces
  double held_out_log_likelihood = std::numeric_limits<double>::quiet_NaN();  ///< of the points held out, nats a point
  double bic = 0;               ///< -2 N log-likelihood + ln N times the number of free parameters; NaN for subspaces
  std::int64_t iterations = 0;  ///< updates of all parameters
  std::int64_t passes = 0;      ///< over the data, all of them
  std::int64_t splits = 0;      ///< components that had lost their points, and took half of the largest one
};

/// Fits a mixture by expectation maximisation from k-means centres.
///
/// Each pass computes the responsibilities, and for each component its weight, mean and S_k U_k, the product of its covariance with the
/// basis it has; the update is that of probabilistic PCA from the best eigenvalues in the old subspace, which never lowers the likelihood.
/// A D x D matrix is not formed unless the rank is D. Responsibilities below 1e-8 are left out, which changes the likelihood by at most K
/// 1e-8 nats a point. Products are float32, summed over batches in float64; distances and log densities are float64. Eigenvalues are kept
/// above the floor; a component without points takes over half of the largest one.
///
/// The result is the same whether the data are held in memory or streamed, and on any number of threads.
///
/// @throws InvalidArgument on options out of range; NumericalError where the stream has another number of images in a later pass, or the
///         likelihood is not finite; what the stream throws
/// Cost 2 N D K R flops a pass for the responsibilities, 4 N D R for the rest (each point has few components), and O(K D R^2). Memory:
/// 32 K D R bytes and a batch of at most 64 MB, besides the data that are held. Source: Tipping & Bishop, Mixtures of probabilistic
/// principal component analysers, Neural Computation 11 (1999), and J. R. Stat. Soc. B 61 (1999) for the update; Dempster, Laird, Rubin
/// 1977.
MixtureFit fit_mixture(ImageStream& stream, const MixtureOptions& options);

/// A mixture of `components` for each class of the stream's labels, weighted by how many points it has; `stats.classes` says which is
/// whose. `history` has one entry, that of the whole; `iterations` is the most that a class took.
/// @throws as fit_mixture, and InvalidArgument where the stream has no labels
MixtureFit fit_mixture_per_class(ImageStream& stream, const MixtureOptions& options);

struct MixtureTrial {
  std::int64_t components = 0, rank = 0;
  double held_out_log_likelihood = 0;
};

struct MixtureChoice {
  MixtureFit fit;  ///< of all points, with the best numbers; its held-out likelihood is that of the best trial
  std::vector<MixtureTrial> trials{};
};

/// Chooses the number of components, and the rank where `options.rank` is 0, by the likelihood of held-out points (`options.held_out`, or a
/// tenth): from 8 components of rank 16 to twice or half of either as long as that is better. Trials have at most 15 iterations.
/// @throws as fit_mixture
MixtureChoice choose_mixture(ImageStream& stream, const MixtureOptions& options);

}  // namespace headstart
