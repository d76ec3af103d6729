#pragma once
// Mean and covariance of a stream, and the Gaussian fitted to it.

#include <torch/types.h>

#include <cstdint>
#include <functional>

#include "headstart/data/image_stream.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// Streamed first and second moments in float64, about the first batch's mean, so that a large mean costs no digits.
/// Memory: D x D float64 and one batch, however many points.
class MomentAccumulator {
 public:
  explicit MomentAccumulator(std::int64_t dim);

  /// @param x          [B, D], any floating dtype
  /// @param meanwhile  anything else to do with the batch, at the same time on one of the threads
  /// @throws InvalidArgument on another shape
  /// Cost B D^2 flops, those of one half of a symmetric matrix. The sums do not depend on the number of threads.
  void add(const torch::Tensor& x, const std::function<void()>& meanwhile = {});

  std::int64_t count() const { return count_; }
  /// [D]. @throws InvalidArgument before the first point
  torch::Tensor mean() const;
  /// [D, D], symmetric, sum of squared deviations over (count - ddof): 0 is the maximum-likelihood divisor N, 1 the unbiased N - 1.
  /// @throws InvalidArgument unless count > ddof
  torch::Tensor covariance(std::int64_t ddof = 0) const;

 private:
  std::int64_t dim_;
  std::int64_t count_ = 0;
  torch::Tensor shift_, sum_, outer_;
};

/// The range that statistics and networks are stored with, so that those of the same data agree: [-1, 1] for 8-bit data; for floats the
/// first of the conventions [0, 1], [-0.5, 0.5] and [-1, 1] that they stay inside, else the measured [low, high].
std::pair<double, double> data_range(bool is_uint8, double low, double high);

struct FitOptions {
  CutOptions cut{};
  std::int64_t limit = 0;                           ///< first images only; 0: all
  std::function<void(std::int64_t)> on_progress{};  ///< images so far; may throw to stop
};

/// Fits a Gaussian to the stream (from where it stands to its end or the limit) by way of its D x D covariance, divisor N.
/// Memory: dense_fit_bytes (fit_method.h) and a batch. @throws what the stream throws, and gaussian_from_moments
GaussianStats fit_gaussian(ImageStream& stream, const FitOptions& options = {});

/// Mean log-likelihood, in nats a point, of the points a Gaussian was fitted to by maximum likelihood: -1/2 (D ln 2 pi + log det + D).
/// @return -infinity where an eigenvalue or a needed tail is zero
double fitted_log_likelihood(const GaussianStats& stats);

}  // namespace headstart
