#include "headstart/metrics/ood.h"

#include <fmt/format.h>

#include "headstart/error.h"
#include "headstart/metrics/frechet.h"

namespace headstart {

using torch::Tensor;

Tensor mahalanobis(const GaussianStats& stats, const Tensor& x, double sigma) {
  require_points("mahalanobis", x, stats.dim());
  if (!(sigma > 0)) throw InvalidArgument(fmt::format("[mahalanobis] expected sigma > 0, got {}", sigma));
  const Tensor y = x.to(torch::kFloat64) - stats.mean;
  const Tensor inside = y.mm(stats.basis).square();
  const double variance = sigma * sigma;
  const Tensor outside = (y.square().sum(1) - inside.sum(1)).clamp_min(0);  // what rounding leaves below zero is zero
  return (inside / (stats.eigenvalues + variance)).sum(1) + outside / (stats.tail + variance);
}

Tensor score_norms(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas) {
  if (sigmas.empty()) throw InvalidArgument("[score_norms] expected at least one sigma");
  std::vector<Tensor> norms;
  for (const double sigma : sigmas) norms.push_back((x - denoiser.denoise(x, sigma)).to(torch::kFloat64).norm(2, 1) / sigma);
  return torch::stack(norms, 1);
}

Tensor distance_to_inliers(const Tensor& inliers, const Tensor& vectors) {
  if (inliers.dim() != 2 || vectors.dim() != 2 || inliers.size(1) != vectors.size(1) || inliers.size(0) <= inliers.size(1))
    throw InvalidArgument("[distance_to_inliers] expected inliers [N, S] with N > S and vectors [B, S]");
  const FeatureMoments moments = feature_moments(inliers.to(torch::kFloat64));
  if (covariance_rank(moments.covariance) < moments.covariance.size(0))
    throw NumericalError("[distance_to_inliers] expected inliers whose norms vary at every level, got a singular covariance");
  const auto [values, basis] = torch::linalg_eigh(moments.covariance);
  return ((vectors.to(torch::kFloat64) - moments.mean).mm(basis).square() / values).sum(1);
}

double auroc(const Tensor& inliers, const Tensor& outliers) {
  for (const auto& scores : {inliers, outliers})
    if (scores.dim() != 1 || scores.numel() == 0 || !scores.isfinite().all().item<bool>())
      throw InvalidArgument("[auroc] expected finite scores of at least one inlier and one outlier");
  // For each outlier, the inliers below it and half of those equal to it.
  const Tensor sorted = std::get<0>(inliers.to(torch::kFloat64).sort());
  const Tensor values = outliers.to(torch::kFloat64).contiguous();
  const Tensor below = torch::searchsorted(sorted, values), up_to = torch::searchsorted(sorted, values, false, true);
  const double wins = 0.5 * (below + up_to).to(torch::kFloat64).sum().item<double>();
  return wins / static_cast<double>(inliers.numel()) / static_cast<double>(outliers.numel());
}

}  // namespace headstart
