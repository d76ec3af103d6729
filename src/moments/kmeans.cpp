#include "headstart/moments/kmeans.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "clusters.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"
#include "tall.h"

namespace headstart {
namespace {

using torch::Tensor;

Tensor squared_distances(const Tensor& x, const Tensor& centre) {
  const Tensor out = torch::empty({x.size(0)}, torch::kFloat64);
  for_blocks(x.size(0), 512, [&](std::int64_t begin, std::int64_t size) {
    out.narrow(0, begin, size).copy_((x.narrow(0, begin, size) - centre).square().sum(1));
  });
  return out;
}

/// The number of a point drawn with probability proportional to its share.
std::int64_t draw(const Tensor& shares, at::Generator& random) {
  const Tensor sums = shares.cumsum(0);
  const Tensor target = at::rand({1}, random, torch::kFloat64) * sums[-1];
  return std::min(torch::searchsorted(sums, target, false, /*right=*/true).item<std::int64_t>(), shares.size(0) - 1);
}

/// k-means++: each further centre is a point drawn in proportion to its squared distance from those there are.
Tensor spread_centres(const Tensor& sample, std::int64_t components, std::uint64_t seed) {
  at::Generator random = at::detail::createCPUGenerator(seed);
  const Tensor centres = torch::empty({components, sample.size(1)}, sample.options());
  Tensor distances = torch::ones({sample.size(0)}, torch::kFloat64);
  for (std::int64_t k = 0; k < components; ++k) {
    centres[k].copy_(sample[draw(distances, random)]);
    const Tensor to_this = squared_distances(sample, centres[k]);
    distances = k == 0 ? to_this : torch::minimum(distances, to_this);
  }
  return centres;
}

/// Moves the centres that have no points to those of the sample that are farthest from all others.
std::int64_t reseed(const Tensor& centres, const Tensor& counts, const Tensor& sample) {
  const Tensor empty = (counts == 0).nonzero().flatten(), taken = (counts > 0).nonzero().flatten();
  if (empty.numel() == 0) return 0;
  Tensor distances = nearest(sample, centres.index_select(0, taken).to(torch::kFloat32)).second.to(torch::kFloat64);
  for (std::int64_t i = 0; i < empty.numel(); ++i) {
    const Tensor farthest = sample[distances.argmax().item<std::int64_t>()];
    centres[empty[i].item<std::int64_t>()].copy_(farthest);
    distances = torch::minimum(distances, squared_distances(sample, farthest));
  }
  return empty.numel();
}

/// What one pass, or one mini-batch, finds out about the clusters.
struct Tally {
  Tensor sums, counts;  // [K, D], [K] float64
  double squares = 0;   // of the distances to the nearest centres

  explicit Tally(const Tensor& centres) : sums(torch::zeros_like(centres)), counts(torch::zeros({centres.size(0)}, torch::kFloat64)) {}

  /// @param y  [B, D] float32 about the centres' origin
  void add(const Tensor& y, const Tensor& centres) {
    const Tensor rounded = centres.to(torch::kFloat32), members = torch::zeros({y.size(0), centres.size(0)}, torch::kFloat32);
    const Tensor distances = torch::empty({y.size(0)}, torch::kFloat32);
    for_blocks(y.size(0), 512, [&](std::int64_t begin, std::int64_t size) {
      const auto [index, distance] = nearest(y.narrow(0, begin, size), rounded);
      members.narrow(0, begin, size).scatter_(1, index.unsqueeze(1), 1);
      distances.narrow(0, begin, size).copy_(distance);
    });
    for_blocks(y.size(1), 128, [&](std::int64_t begin, std::int64_t size) {  // cut along D: one order of summation for any threads
      sums.narrow(1, begin, size).add_(members.t().mm(y.narrow(1, begin, size)));
    });
    counts += members.sum(0, false, torch::kFloat64);
    squares += distances.sum(torch::kFloat64).item<double>();
  }
};

/// centres <- (centres * weight + sums) / (weight + counts), for those that have points.
void move_centres(const Tensor& centres, const Tensor& weight, const Tally& tally) {
  const Tensor total = weight + tally.counts;
  centres.copy_(
      torch::where((total > 0).unsqueeze(1), (centres * weight.unsqueeze(1) + tally.sums) / total.clamp_min(1).unsqueeze(1), centres));
}

}  // namespace

std::pair<Tensor, Tensor> nearest(const Tensor& x, const Tensor& centres) {
  const auto [least, index] = torch::addmm(centres.square().sum(1), x, centres.t(), 1, -2).min(1);
  return {index, (least + x.square().sum(1)).clamp_min_(0)};
}

KMeans cluster(const Points& points, const KMeansOptions& o) {
  if (o.components < 1 || o.components > points.count())
    throw InvalidArgument(fmt::format("[fit_kmeans] expected 1 to N = {} components, got {}", points.count(), o.components));
  if (o.max_iterations < 1) throw InvalidArgument(fmt::format("[fit_kmeans] expected at least 1 iteration, got {}", o.max_iterations));
  if (!(o.tolerance >= 0)) throw InvalidArgument(fmt::format("[fit_kmeans] expected a tolerance >= 0, got {}", o.tolerance));
  if (o.mini_batch < 0) throw InvalidArgument(fmt::format("[fit_kmeans] expected a mini-batch >= 0, got {}", o.mini_batch));
  const Tensor origin = points.mean().to(torch::kFloat32);
  const Tensor sample = points.sample(std::max<std::int64_t>(4096, 50 * o.components), o.seed) - origin;
  const Tensor centres = spread_centres(sample, o.components, o.seed + 1).to(torch::kFloat64);
  const std::int64_t rows = o.mini_batch > 0 ? o.mini_batch : randomised_batch_rows(points.dim());

  KMeans result;
  Tensor weight = torch::zeros({o.components}, torch::kFloat64);  // points that the centres are the mean of: Lloyd forgets them
  for (double before = std::numeric_limits<double>::infinity();; before = result.inertia) {
    Tally pass(centres);
    Tensor counts = torch::zeros_like(weight);
    double squares = 0;
    const auto take = [&](Tally& tally) {
      move_centres(centres, weight, tally);
      if (o.mini_batch > 0) weight += tally.counts;
      counts += tally.counts;
      squares += tally.squares;
      tally = Tally(centres);
    };
    points.for_each(rows, [&](const Tensor& x) {
      pass.add(x - origin, centres);
      if (o.mini_batch > 0) take(pass);
    });
    if (o.mini_batch == 0) take(pass);
    result.counts = counts.to(torch::kInt64);
    result.inertia = squares / static_cast<double>(points.count());
    const std::int64_t moved = reseed(centres, counts, sample);
    result.reseeded += moved;
    const bool is_settled = moved == 0 && result.inertia >= before * (1 - o.tolerance);
    if (++result.iterations == o.max_iterations || is_settled || result.inertia == 0) break;
  }
  result.centres = centres + origin;
  return result;
}

KMeans fit_kmeans(ImageStream& stream, const KMeansOptions& options) {
  return cluster(Points(stream, options.limit, options.memory, options.on_progress), options);
}

}  // namespace headstart
