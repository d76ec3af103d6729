#include "headstart/calibrate/network_gaussian.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "../moments/descending_eigh.h"
#include "../moments/tall.h"
#include "headstart/core/parallel.h"
#include "headstart/error.h"
#include "headstart/flow/teleport.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr std::int64_t kMeanPairs = 16, kMeanRounds = 3;  // the error shrinks by lambda / (lambda + sigma^2) in each
constexpr std::int64_t kTailProbes = 16;
constexpr double kDifference = 0.1;  // of sigma, the length of a step: far above float32's rounding, far below |sigma n|
constexpr double kMostGain = 0.999;  // of J: beyond it sigma^2 j / (1 - j) says nothing

std::int64_t columns_of(const NetworkGaussianOptions& o, std::int64_t dim) {
  return std::min(dim, o.rank + std::max<std::int64_t>(8, o.rank / 8));
}

/// The denoiser, with a count of the points it has seen.
class Probe {
 public:
  Probe(const Denoiser& denoiser, const NetworkGaussianOptions& o) : denoiser_(denoiser), options_(o) {
    const std::int64_t dim = denoiser.dim(), columns = columns_of(o, dim), tail = o.mean_tail && columns < dim ? kTailProbes : 0;
    total_ = 2 * kMeanPairs * kMeanRounds + 2 * o.points * (columns * o.passes + tail);
  }
  std::int64_t nfe() const { return done_; }

  Tensor denoise(const Tensor& x, double sigma) {
    Tensor denoised = denoiser_.denoise(x, sigma);
    if (!denoised.isfinite().all().item<bool>()) throw NumericalError("[fit_network_gaussian] expected finite denoised estimates");
    done_ += x.size(0);
    if (options_.on_progress) options_.on_progress(done_, total_);
    return denoised;
  }

  /// J q, J averaged over the points. @param q  [D, L], points  [P, D]
  Tensor multiply(const Tensor& q, const Tensor& points, double sigma) {
    const Tensor steps = kDifference * sigma * q.t();
    Tensor product = torch::zeros_like(q);
    for (std::int64_t i = 0; i < points.size(0); ++i) {
      const Tensor both = denoise(torch::cat({points[i] + steps, points[i] - steps}), sigma);
      product += (both.narrow(0, 0, q.size(1)) - both.narrow(0, q.size(1), q.size(1))).t();
    }
    return product / (2 * kDifference * sigma * static_cast<double>(points.size(0)));
  }

 private:
  const Denoiser& denoiser_;
  const NetworkGaussianOptions& options_;
  std::int64_t done_ = 0, total_ = 0;
};

/// Standard normal rows, then their mirror images.
Tensor mirrored_noise(std::int64_t rows, std::int64_t dim, at::Generator& random) {
  const Tensor half = at::randn({rows / 2, dim}, random, torch::kFloat64);
  return torch::cat({half, -half});
}

Tensor mean_of(Probe& probe, std::int64_t dim, double sigma, at::Generator& random) {
  Tensor mean = torch::zeros({dim}, torch::kFloat64);
  for (std::int64_t round = 0; round < kMeanRounds; ++round)
    mean = probe.denoise(mean + sigma * mirrored_noise(2 * kMeanPairs, dim, random), sigma).mean(0);
  return mean;
}

/// a b, the same on any number of threads.
Tensor times(const Tensor& a, const Tensor& b) {
  return on_one_thread([&] { return a.mm(b); });
}

Tensor orthonormal(const Tensor& y) {
  return on_one_thread([&] { return std::get<0>(torch::linalg_qr(y)).contiguous(); });
}

/// Sigma's eigenvalue where J's is j.
Tensor variance_of(const Tensor& j, double sigma) {
  const Tensor gain = j.clamp(0, kMostGain);
  return sigma * sigma * gain / (1 - gain);
}

/// The mean variance outside the columns' span, by Hutchinson's estimate of J's trace there.
double outside_variance(Probe& probe, const Tensor& q, const Tensor& points, double sigma, at::Generator& random) {
  if (q.size(1) == q.size(0)) return 0;
  const Tensor z = at::randn({q.size(0), kTailProbes}, random, torch::kFloat64), outside = z - times(q, times(q.t(), z));
  const Tensor directions = outside / outside.norm(2, 0, true);  // steps as long as those along the columns
  const Tensor product = probe.multiply(directions, points, sigma);
  return on_one_thread([&] { return variance_of((directions * product).sum(0).mean(), sigma).item<double>(); });
}

void require_valid(const NetworkGaussianOptions& o, std::int64_t dim) {
  const auto refuse = [](const std::string& what) { throw InvalidArgument("[fit_network_gaussian] expected " + what); };
  if (o.rank < 1 || o.rank > dim) refuse(fmt::format("a rank from 1 to D = {}, got {}", dim, o.rank));
  if (!(o.sigma > 0) || !std::isfinite(o.sigma)) refuse(fmt::format("sigma > 0, got {}", o.sigma));
  if (o.passes < 2) refuse(fmt::format("at least 2 passes, got {}", o.passes));
  if (o.points < 2 || o.points % 2 != 0) refuse(fmt::format("an even number of points, at least 2, got {}", o.points));
}

}  // namespace

NetworkGaussianFit fit_network_gaussian(const Denoiser& denoiser, const NetworkGaussianOptions& o) {
  const std::int64_t dim = denoiser.dim();
  require_valid(o, dim);
  const std::int64_t columns = columns_of(o, dim);
  at::Generator random = at::detail::createCPUGenerator(o.seed);
  Probe probe(denoiser, o);
  NetworkGaussianFit fit;
  GaussianStats& stats = fit.stats;
  stats.mean = mean_of(probe, dim, o.sigma, random);
  const Tensor start = stats.mean + o.sigma * mirrored_noise(o.points, dim, random);

  Tensor next = at::randn({dim, columns}, random, torch::kFloat64), points = start;
  double sigma = o.sigma;
  for (std::int64_t pass = 1; pass <= o.passes; ++pass) {
    if (pass == o.passes) {
      sigma = o.sigma / 2;
      points = teleport(stats, start, o.sigma, sigma);
    }
    const Tensor q = orthonormal(next);
    next = probe.multiply(q, points, sigma);
    const Tensor m = times(q.t(), next);
    fit.asymmetry = on_one_thread([&] { return ((m - m.t()).norm() / (m + m.t()).norm()).item<double>(); });
    const auto [gains, vectors] = descending_eigh((m + m.t()) / 2);
    stats.basis = times(q, vectors);
    stats.eigenvalues = variance_of(gains, sigma);
  }

  if (o.mean_tail && o.rank < dim) {
    const double listed = static_cast<double>(columns), outside = outside_variance(probe, stats.basis, points, sigma, random);
    const double rest = stats.eigenvalues.narrow(0, o.rank, columns - o.rank).sum().item<double>();
    stats.tail = (rest + (static_cast<double>(dim) - listed) * outside) / static_cast<double>(dim - o.rank);
  }
  stats.basis = stats.basis.narrow(1, 0, o.rank).contiguous();
  stats.eigenvalues = stats.eigenvalues.narrow(0, 0, o.rank).contiguous();
  settle_signs(stats.basis);
  fit.nfe = probe.nfe();
  return fit;
}

}  // namespace headstart
