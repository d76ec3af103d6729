#include "headstart/metrics/trajectory.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/solve/one_step.h"

namespace headstart {

using torch::Tensor;

namespace {

void require_paths(const char* function, const GaussianStats& stats, const RecordedPaths& paths, std::int64_t modes) {
  const auto levels = static_cast<std::int64_t>(paths.sigmas.size());
  if (paths.states.dim() != 3 || paths.states.size(1) != levels || paths.states.size(2) != stats.dim() ||
      paths.denoised.sizes() != paths.states.sizes() || paths.states.size(0) < 1 || levels < 2)
    throw InvalidArgument(fmt::format("[{}] expected states and estimates of shape [K, {}, {}]", function, levels, stats.dim()));
  if (modes < 1 || modes > stats.rank())
    throw InvalidArgument(fmt::format("[{}] expected 1 to {} modes, got {}", function, stats.rank(), modes));
}

Tensor at_level(const Tensor& paths, std::int64_t level) { return paths.select(1, level).to(torch::kFloat64); }

/// sum |a - b|^2 / sum |a - centre|^2 over all rows.
Tensor missed(const Tensor& a, const Tensor& b, const Tensor& centre) { return (a - b).square().sum() / (a - centre).square().sum(); }

/// Coordinates along the first eigenvectors, [K, M].
Tensor coordinates(const GaussianStats& stats, const Tensor& y, std::int64_t modes) {
  return (y - stats.mean).mm(stats.basis.narrow(1, 0, modes));
}

}  // namespace

PathAgreement path_agreement(const GaussianStats& stats, const RecordedPaths& paths, std::int64_t modes) {
  require_paths("path_agreement", stats, paths, modes);
  const GaussianDenoiser gaussian(stats);
  const Tensor start = at_level(paths.states, 0);
  std::vector<Tensor> state, denoised, by_mode;
  for (std::size_t i = 0; i < paths.sigmas.size(); ++i) {
    const double sigma = paths.sigmas[i];
    const Tensor x = at_level(paths.states, static_cast<std::int64_t>(i)), d = at_level(paths.denoised, static_cast<std::int64_t>(i));
    const Tensor closed = gaussian_flow(stats, start, {.from = paths.sigmas.front(), .to = sigma});
    const Tensor closed_denoised = sigma > 0 ? gaussian.denoise(closed, sigma) : closed;
    state.push_back(missed(x, closed, stats.mean));
    denoised.push_back(missed(d, closed_denoised, stats.mean));
    const Tensor a = coordinates(stats, d, modes), b = coordinates(stats, closed_denoised, modes);
    by_mode.push_back(1 - (a - b).square().sum(0) / a.square().sum(0));
  }
  return {torch::stack(state), torch::stack(denoised), torch::stack(by_mode)};
}

Tensor path_directions(const Tensor& states, std::int64_t count) {
  if (states.dim() != 3 || states.size(1) < 2 || count < 1)
    throw InvalidArgument("[path_directions] expected states of shape [K, L >= 2, D] and a count >= 1");
  const Tensor y = states.to(torch::kFloat64);
  const Tensor centred = y - y.mean(1, true);
  // L states span at most L directions: the small Gram matrix has all eigenvalues.
  const Tensor values = torch::linalg_eigvalsh(centred.bmm(centred.transpose(1, 2))).clamp_min(0).flip(1);
  const Tensor shares = values.cumsum(1) / values.sum(1, true);
  return shares.mean(0).narrow(0, 0, std::min(count, shares.size(1)));
}

Tensor decided_levels(const GaussianStats& stats, const RecordedPaths& paths, std::int64_t modes) {
  require_paths("decided_levels", stats, paths, modes);
  if (paths.sigmas.back() != 0) throw InvalidArgument("[decided_levels] expected paths that end in sigma 0");
  const auto levels = static_cast<std::int64_t>(paths.sigmas.size());
  const Tensor last = coordinates(stats, at_level(paths.denoised, levels - 1), modes);
  std::vector<Tensor> shares;  // of the final coordinate, by least squares over the seeds
  for (std::int64_t i = 0; i < levels; ++i)
    shares.push_back((coordinates(stats, at_level(paths.denoised, i), modes) * last).sum(0) / last.square().sum(0));
  const Tensor share = torch::stack(shares).contiguous();
  const auto s = share.accessor<double, 2>();
  Tensor decided = torch::full({modes}, std::numeric_limits<double>::quiet_NaN(), torch::kFloat64);
  const double threshold = std::sqrt(0.5);
  for (std::int64_t k = 0; k < modes; ++k)
    for (std::int64_t i = 0; i + 1 < levels && paths.sigmas[static_cast<std::size_t>(i + 1)] > 0; ++i) {
      if (s[i][k] >= threshold || s[i + 1][k] < threshold) continue;
      const double from = std::log(paths.sigmas[static_cast<std::size_t>(i)]), to = std::log(paths.sigmas[static_cast<std::size_t>(i + 1)]);
      decided[k] = std::exp(from + (to - from) * (threshold - s[i][k]) / (s[i + 1][k] - s[i][k]));
      break;
    }
  return decided;
}

Tensor kick_response(const Denoiser& denoiser, const GaussianStats& stats, const Tensor& x, const std::vector<double>& sigmas,
                     const Kick& kick) {
  if (kick.mode < 0 || kick.mode >= stats.rank())
    throw InvalidArgument(fmt::format("[kick_response] expected a mode from 0 to {}, got {}", stats.rank() - 1, kick.mode));
  if (!(kick.size > 0)) throw InvalidArgument(fmt::format("[kick_response] expected a size > 0, got {}", kick.size));
  const Tensor direction = stats.basis.select(1, kick.mode);
  const Tensor difference = sample_heun(denoiser, x + kick.size * direction, sigmas) - sample_heun(denoiser, x, sigmas);
  return difference.mv(direction) / kick.size;
}

double predicted_kick_response(double eigenvalue, double sigma) { return std::sqrt(eigenvalue / (eigenvalue + sigma * sigma)); }

JacobianModes jacobian_modes(const Denoiser& denoiser, const Tensor& x, double sigma, const JacobianOptions& options) {
  const std::int64_t dim = denoiser.dim(), columns = std::min(dim, options.modes + options.oversampling);
  if (x.dim() != 1 || x.size(0) != dim) throw InvalidArgument(fmt::format("[jacobian_modes] expected x of shape [{}]", dim));
  if (options.modes < 1 || options.modes > dim || options.iterations < 1)
    throw InvalidArgument(fmt::format("[jacobian_modes] expected 1 to {} modes and at least one iteration", dim));
  const double step = options.step * sigma;
  const Tensor centre = x.to(torch::kFloat64);
  /// J q for each column q.
  const auto products = [&](const Tensor& q) {
    const Tensor both = torch::cat({centre + step * q.t(), centre - step * q.t()});
    const auto sides = denoiser.denoise(both, sigma).chunk(2);
    return ((sides[0] - sides[1]) / (2 * step)).t();
  };
  const auto generator = at::detail::createCPUGenerator(options.seed);
  Tensor q = std::get<0>(torch::linalg_qr(torch::randn({dim, columns}, generator, torch::kFloat64)));
  Tensor image = products(q);
  for (std::int64_t i = 1; i < options.iterations; ++i) {
    q = std::get<0>(torch::linalg_qr(image));
    image = products(q);
  }
  const Tensor small = q.t().mm(image);  // Rayleigh-Ritz; the exact Jacobian is symmetric, a network's only nearly
  const auto [values, vectors] = torch::linalg_eigh(0.5 * (small + small.t()));
  return {values.flip(0).narrow(0, 0, options.modes).contiguous(), q.mm(vectors.flip(1).narrow(1, 0, options.modes))};
}

double subspace_overlap(const Tensor& a, const Tensor& b) {
  return a.t().mm(b).square().sum().item<double>() / static_cast<double>(std::min(a.size(1), b.size(1)));
}

}  // namespace headstart
