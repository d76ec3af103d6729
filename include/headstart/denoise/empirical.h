#pragma once
// The exact score of a finite data set: the optimum of every network trained on it, and what one that has memorised it would answer.

#include <torch/types.h>

#include <cstdint>
#include <memory>

#include "headstart/denoise/denoiser.h"

namespace headstart {

class PointSet;

struct EmpiricalOptions {
  double eps = 1e-6;        ///< of the total weight, in (0, 1): what the points that are left out may have together
  std::int64_t rank = 250;  ///< principal directions that show which points cannot matter, at most D / 2; 0: every point is looked at
};

/// Posterior mean E[x0 | x] where x0 is one of N data points, each as likely as another:
/// sum_i w_i x_i, w = softmax_i(-|x - x_i|^2 / (2 sigma^2)).
///
/// A point with |x - x_i|^2 > d_min^2 + 2 sigma^2 ln(N / eps) is left out: all of them together have less than eps of the weight. Which
/// ones those are is known from a lower bound, |x - x_i|^2 >= |U^T (x - x_i)|^2 + (|Qx| - |Qx_i|)^2 with U [D, R] principal directions and
/// Q = I - U U^T, at some R / 4D of the cost. So this is also the estimate of the score from nearest neighbours with a controlled
/// remainder: their number is what eps asks for. Where sigma is too large for that to pay, which a sample of the points tells for each row,
/// all points take part in two matrix products.
///
/// Accuracy: the data are float32 and so are the sums; x is rounded to float32, also where it is float64. Relative errors of D are some
/// 1e-7 to 1e-6, and below 1e-4 where points decide whose distances are much larger than the differences between them.
/// Results do not depend on the number of threads; in the last bits they depend on the batch's shape (see micro_batch.h).
/// Cost 4 B N D flops, less where points are left out. Memory: N (R + 5) float32 are kept beside the data; a call takes less than 64 MB
/// besides B D, whatever N is.
class EmpiricalDenoiser : public Denoiser {
 public:
  /// @param data  [N, D] float32, C, H, W flattened. It is not copied and may lie in a mapped file, larger than memory.
  /// @throws InvalidArgument on another shape or dtype and on options out of range; NumericalError where a value is not finite
  /// Cost about 2 N D R flops in float64 and a few passes over a sample of 16,384 points.
  explicit EmpiricalDenoiser(torch::Tensor data, const EmpiricalOptions& options = {});
  std::int64_t dim() const override;
  std::int64_t count() const;

  /// Share of the N points whose distance is computed in full, by row, [B] float64: 1 where none is left out. For benchmarks and tests.
  /// Cost that of evaluating x, or less. @throws as denoise
  torch::Tensor share_evaluated(const torch::Tensor& x, double sigma) const;

 private:
  friend torch::Tensor empirical_log_density(const EmpiricalDenoiser&, const torch::Tensor&, const torch::Tensor&);
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const override;
  std::shared_ptr<const PointSet> points_;
  double eps_;
};

/// ln (1/N) sum_i N(x; x_i, sigma^2 I), in nats: the density whose score is that of the EmpiricalDenoiser.
/// @param x      [B, D]
/// @param sigma  scalar or [B], > 0
/// @return       [B], dtype of x; absolute error about 1e-6 of the exponent of the nearest point
/// @throws InvalidArgument on a shape mismatch or sigma <= 0. Cost that of denoising x
torch::Tensor empirical_log_density(const EmpiricalDenoiser& denoiser, const torch::Tensor& x, const torch::Tensor& sigma);

}  // namespace headstart
