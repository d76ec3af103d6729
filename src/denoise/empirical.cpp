#include "headstart/denoise/empirical.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "headstart/core/parallel.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "point_kernel.h"
#include "point_set.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr std::int64_t kRows = 256;             // of a batch at once
constexpr std::int64_t kProbe = 512;            // points that tell how many can be left out
constexpr std::int64_t kScreen = 512;           // points in a tile of bounds: their data stay in the cache for all rows that look closer
constexpr std::int64_t kTileFloats = 1 << 19;   // of data in a tile
constexpr std::int64_t kStateFloats = 1 << 22;  // of all running sums together
constexpr std::int64_t kMostSegments = 8;       // parts of the data, worked on at once

// What a tighter bound and a distance cost, in units of a point's share of the matrix products, and how little they must cost together.
constexpr double kTighterCost = 2, kDistanceCost = 8, kWorthwhile = 0.8;
// The error of a float32 matrix product's element, relative to the norms of its two vectors: five times the rms on Fashion-MNIST.
constexpr double kProductRounding = 2.4e-7;
// Errors of ln w_i up to this are harmless: D's error is theirs times the spread of the points that decide.
constexpr double kHarmless = 5e-5;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// How a row goes through the data.
struct Route {
  double reach = 0;     ///< scores this far below the best do not matter: sigma^2 ln(N / eps)
  double slack = 0;     ///< what the bounds may be wrong by
  double rounding = 0;  ///< of ln w_i from a matrix product
  bool direct = false;  ///< distances themselves, of the points that the bounds leave; otherwise matrix products of all points
};

/// Rows that go the same way.
struct Group {
  Queries queries;
  std::vector<Route> routes;
};

/// sum_i exp((s_i - top) / sigma^2) over the points seen so far, and the same sum of z_i.
struct Sums {
  std::vector<double> top, total;       ///< [B]; top is about the largest score, or larger
  std::vector<std::int64_t> evaluated;  ///< [B] points that were not left out
  Tensor weighted;                      ///< [B or more, D] float32

  explicit Sums(const Queries& q)
      : top(q.best), total(top.size(), 0.0), evaluated(top.size(), 0), weighted(torch::zeros(q.y.sizes(), torch::kFloat32)) {}

  float* row(std::int64_t r) { return weighted.data_ptr<float>() + r * weighted.size(1); }

  void raise(const Queries& q, std::int64_t r, double score) {
    if (score <= top[at(r)]) return;
    const double factor = std::exp((top[at(r)] - score) / q.variance[at(r)]);
    top[at(r)] = score;
    total[at(r)] *= factor;
    std::for_each(row(r), row(r) + weighted.size(1), [f = static_cast<float>(factor)](float& value) { value *= f; });
  }

  void add(const Queries& q, Sums& other) {
    for (std::int64_t r = 0; r < q.rows(); ++r) {
      raise(q, r, other.top[at(r)]);
      other.raise(q, r, top[at(r)]);
      total[at(r)] += other.total[at(r)];
      evaluated[at(r)] += other.evaluated[at(r)];
    }
    weighted.add_(other.weighted);
  }
};

/// These rows and their routes, padded to whole micro-batches by repeating the last: so that a micro-batch's matrix products always have
/// the same shape, whichever way its rows go.
Group select(const Queries& q, const std::vector<Route>& routes, const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> padded = rows;
  padded.resize((rows.size() + kMicroBatch - 1) / kMicroBatch * kMicroBatch, rows.back());
  const Tensor index = torch::tensor(padded);
  Group group;
  group.queries.x = q.x.index_select(0, index);
  group.queries.y = q.y.index_select(0, index);
  if (q.features.defined()) {
    group.queries.features = q.features.index_select(0, index);
    group.queries.details = q.details.index_select(0, index);
  }
  for (const auto r : rows) {
    group.queries.square.push_back(q.square[at(r)]);
    group.queries.variance.push_back(q.variance[at(r)]);
    group.queries.best.push_back(q.best[at(r)]);
    group.routes.push_back(routes[at(r)]);
  }
  return group;
}

/// Passes over the data for one batch of rows.
class Pass {
 public:
  Pass(const PointSet& points, double eps) : points_(points), margin_(std::log(static_cast<double>(points.count()) / eps)) {}

  Sums sums(Queries& q) const {
    const std::vector<Route> routes = choose_routes(q);
    Sums all(q);
    for (const bool direct : {false, true}) {
      std::vector<std::int64_t> rows;
      for (std::int64_t r = 0; r < q.rows(); ++r)
        if (routes[at(r)].direct == direct) rows.push_back(r);
      if (rows.empty()) continue;
      const Sums found = sums_of(select(q, routes, rows), direct);
      for (std::size_t k = 0; k < rows.size(); ++k) {
        all.top[at(rows[k])] = found.top[k];
        all.total[at(rows[k])] = found.total[k];
        all.evaluated[at(rows[k])] = found.evaluated[k];
      }
      all.weighted.index_copy_(0, torch::tensor(rows), found.weighted.narrow(0, 0, static_cast<std::int64_t>(rows.size())));
    }
    return all;
  }

 private:
  /// part(index, begin, end) for each segment of the data, several at once, each on one thread.
  template <class Part>
  void for_segments(std::int64_t segments, Part part) const {
    parallel_shards(segments, [&](std::int64_t i) {
      const torch::NoGradGuard no_grad;  // thread-local
      part(at(i), points_.count() * i / segments, points_.count() * (i + 1) / segments);
    });
  }
  std::int64_t segments_for(const Queries& q) const {
    const std::int64_t most = std::min(kMostSegments, (points_.count() + kScreen - 1) / kScreen);
    return std::clamp<std::int64_t>(kStateFloats / (q.padded_rows() * points_.dim()), 1, most);
  }

  Sums sums_of(const Group& group, bool direct) const {
    std::vector<std::optional<Sums>> parts(at(segments_for(group.queries)));
    for_segments(static_cast<std::int64_t>(parts.size()), [&](std::size_t i, std::int64_t begin, std::int64_t end) {
      Sums& part = parts[i].emplace(group.queries);
      direct ? add_direct(group, begin, end, part) : add_products(group, begin, end, part);
    });
    for (std::size_t i = 1; i < parts.size(); ++i) parts[0]->add(group.queries, *parts[i]);
    return std::move(*parts[0]);
  }

  /// All points, by two matrix products.
  void add_products(const Group& group, std::int64_t begin, std::int64_t end, Sums& sums) const {
    const Queries& q = group.queries;
    const std::int64_t size = std::clamp<std::int64_t>(kTileFloats / points_.dim() / 16 * 16, 16, 1024);
    const Tensor tile = torch::empty({size, points_.dim()}, torch::kFloat32),
                 products = torch::empty({q.padded_rows(), size}, torch::kFloat32);
    std::vector<std::int32_t> found(at(size));
    for (std::int64_t first = begin; first < end; first += size) {
      const std::int64_t n = std::min(size, end - first);
      const Tensor z = tile.narrow(0, 0, n);
      Tensor weights = products.narrow(1, 0, n);
      points_.read(first, z);
      at::mm_out(weights, q.y, z.t());
      for (std::int64_t r = 0; r < q.rows(); ++r) {
        float* row = products.data_ptr<float>() + r * size;
        sums.evaluated[at(r)] += n;
        sums.total[at(r)] += weigh(q, r, first, n, row, sums);
        if (group.routes[at(r)].rounding > kHarmless) sums.total[at(r)] += correct(group, r, first, n, row, sums, found);
      }
      sums.weighted.addmm_(weights, z);
    }
  }

  /// Products y . z_i of a row to weights, in place. @return their sum
  double weigh(const Queries& q, std::int64_t r, std::int64_t first, std::int64_t n, float* values, Sums& sums) const {
    const double variance = q.variance[at(r)];
    const auto top = static_cast<float>(sums.top[at(r)]);  // what to_exponents subtracts, to the last bit
    const float most = kernel::to_exponents(values, points_.half_squares() + first, top, static_cast<float>(variance), n);
    sums.raise(q, r, top + most * variance);
    return kernel::to_weights(values, static_cast<float>((sums.top[at(r)] - top) / variance), n);
  }

  /// Computes those weights again that are large enough for their rounding to be felt. Errors of many small ones average out, so these are
  /// few. @return what it adds to the sum
  double correct(const Group& group, std::int64_t r, std::int64_t first, std::int64_t n, float* weights, const Sums& sums,
                 std::vector<std::int32_t>& found) const {
    const double share = std::min(std::pow(kHarmless / group.routes[at(r)].rounding, 2), 2e-3);
    const std::int64_t count = kernel::at_least(weights, static_cast<float>(share * sums.total[at(r)]), n, found.data());
    double change = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      float& weight = weights[found[at(k)]];
      const double score = points_.score(group.queries, r, first + found[at(k)]);
      const auto exact = static_cast<float>(std::exp((score - sums.top[at(r)]) / group.queries.variance[at(r)]));
      change += exact - weight;
      weight = exact;
    }
    return change;
  }

  /// The points that the bounds leave, by their distances.
  void add_direct(const Group& group, std::int64_t begin, std::int64_t end, Sums& sums) const {
    const Queries& q = group.queries;
    const Tensor bounds = torch::empty({q.padded_rows(), kScreen}, torch::kFloat32);
    std::vector<std::int32_t> found(at(kScreen));
    std::iota(found.begin(), found.end(), 0);  // without bounds: every point
    for (std::int64_t first = begin; first < end; first += kScreen) {
      std::int64_t n = std::min(kScreen, end - first), count = n;
      if (points_.has_features()) points_.bounds(q.features, first, 1, bounds.narrow(1, 0, n));
      for (std::int64_t r = 0; r < q.rows(); ++r) {
        const Route& route = group.routes[at(r)];
        const float* row = bounds.data_ptr<float>() + r * kScreen;
        const auto least = [&] { return sums.top[at(r)] - route.reach - route.slack; };
        if (points_.has_features()) count = kernel::at_least(row, static_cast<float>(least()), n, found.data());
        for (std::int64_t k = 0; k < count; ++k) {
          const std::int64_t i = found[at(k)];
          if (points_.has_features() && points_.tighter(q, r, first + i, row[i]) < least()) continue;
          add_point(q, r, first + i, route.reach, sums);
        }
      }
    }
  }

  void add_point(const Queries& q, std::int64_t r, std::int64_t i, double reach, Sums& sums) const {
    const double score = points_.score(q, r, i);
    ++sums.evaluated[at(r)];
    if (score < sums.top[at(r)] - reach) return;
    sums.raise(q, r, score);
    const double weight = std::exp((score - sums.top[at(r)]) / q.variance[at(r)]);
    sums.total[at(r)] += weight;
    points_.add_weighted(i, static_cast<float>(weight), sums.row(r));
  }

  /// Decides for each row by a sample of the bounds; finds near points on the way. A wrong decision costs only time.
  std::vector<Route> choose_routes(Queries& q) const {
    std::vector<Route> routes;
    for (std::int64_t r = 0; r < q.rows(); ++r) {
      const double square = q.square[at(r)], largest = points_.largest_norm(), variance = q.variance[at(r)];
      routes.push_back({.reach = variance * margin_,
                        .slack = 1e-5 * (square + largest * largest),
                        .rounding = kProductRounding * std::sqrt(square) * largest / variance});
      routes.back().direct = routes.back().rounding > 0.1;  // too much to be corrected
    }
    if (!points_.has_features()) return routes;
    const Tensor sample = sample_bounds(q);
    std::vector<std::int32_t> found(at(sample.size(1)));
    const std::int64_t size = sample.size(1), step = points_.count() / size;
    const auto pays = [&](std::int64_t r, double best, bool tighten) {
      const double least = best - routes[at(r)].reach - routes[at(r)].slack;
      const float* row = sample.data_ptr<float>() + r * size;
      const std::int64_t count = kernel::at_least(row, static_cast<float>(least), size, found.data());
      const auto stays = [&](std::int64_t i) { return points_.tighter(q, r, i * step, row[i]) >= least; };
      const auto left = tighten ? std::count_if(found.begin(), found.begin() + count, stays) : 0;
      return kTighterCost * static_cast<double>(count) + kDistanceCost * static_cast<double>(left) <=
             kWorthwhile * static_cast<double>(size);
    };
    // No point scores higher than its bound: where it does not pay even so, no near point need be looked for.
    const Tensor highest = std::get<0>(sample.max(1));
    std::vector<std::int64_t> hopeful;
    for (std::int64_t r = 0; r < q.rows(); ++r)
      if (routes[at(r)].direct || pays(r, highest[r].item<double>(), /*tighten=*/false)) hopeful.push_back(r);
    if (hopeful.empty()) return routes;
    find_near_points(q, hopeful);
    for (const auto r : hopeful) routes[at(r)].direct = routes[at(r)].direct || pays(r, q.best[at(r)], /*tighten=*/true);
    return routes;
  }

  /// Bounds of points spread over the data, [B, P].
  Tensor sample_bounds(const Queries& q) const {
    const std::int64_t size = std::min(kProbe, points_.count()), pieces = (q.rows() + kMicroBatch - 1) / kMicroBatch;
    Tensor sample = torch::empty({q.rows(), size}, torch::kFloat32);
    parallel_shards(pieces, [&](std::int64_t i) {
      const torch::NoGradGuard no_grad;  // thread-local
      const std::int64_t begin = i * kMicroBatch, n = std::min(kMicroBatch, q.rows() - begin);
      points_.bounds(q.features.narrow(0, begin, n), 0, points_.count() / size, sample.narrow(0, begin, n));
    });
    return sample;
  }

  /// Improves q.best of these rows by the likely nearest of all points.
  void find_near_points(Queries& q, const std::vector<std::int64_t>& rows) const {
    struct Near {
      float guess = std::numeric_limits<float>::lowest();
      std::int64_t point = 0;
    };
    std::vector<std::vector<Near>> near(at(segments_for(q)), std::vector<Near>(rows.size()));
    for_segments(static_cast<std::int64_t>(near.size()), [&](std::size_t segment, std::int64_t begin, std::int64_t end) {
      const Tensor guesses = torch::empty({q.rows(), kScreen}, torch::kFloat32);
      for (std::int64_t first = begin; first < end; first += kScreen) {
        const std::int64_t n = std::min(kScreen, end - first);
        points_.guesses(q.features, first, guesses.narrow(1, 0, n));
        for (std::size_t k = 0; k < rows.size(); ++k) {
          const float* row = guesses.data_ptr<float>() + rows[k] * kScreen;
          const float most = kernel::largest(row, n);
          if (most > near[segment][k].guess) near[segment][k] = {most, first + (std::find(row, row + n, most) - row)};
        }
      }
    });
    for (std::size_t k = 0; k < rows.size(); ++k) {
      Near nearest;
      for (const auto& part : near)
        if (part[k].guess > nearest.guess) nearest = part[k];
      double& best = q.best[at(rows[k])];
      best = std::max(best, points_.score(q, rows[k], nearest.point));
    }
  }

  const PointSet& points_;
  double margin_;  ///< ln(N / eps)
};

/// use(first row, queries, sums) for the rows of x, some at a time.
template <class Use>
void for_rows(const PointSet& points, double eps, const Tensor& x, const Tensor& sigma, Use use) {
  const Tensor here = x.to(torch::kCPU), levels = sigma.to(torch::kCPU);
  for (std::int64_t first = 0; first < x.size(0); first += kRows) {
    const std::int64_t n = std::min(kRows, x.size(0) - first);
    Queries q = points.queries(here.narrow(0, first, n), levels.narrow(0, first, n));
    const Sums sums = Pass(points, eps).sums(q);
    for (const double total : sums.total)
      if (!(total > 0) || !std::isfinite(total))
        throw NumericalError(fmt::format("[EmpiricalDenoiser] expected finite weights, got a sum of {}", total));
    use(first, q, sums);
  }
}

}  // namespace

EmpiricalDenoiser::EmpiricalDenoiser(Tensor data, const EmpiricalOptions& options) : eps_(options.eps) {
  if (!(options.eps > 0 && options.eps < 1))
    throw InvalidArgument(fmt::format("[EmpiricalDenoiser] expected eps in (0, 1), got {}", options.eps));
  if (options.rank < 0) throw InvalidArgument(fmt::format("[EmpiricalDenoiser] expected a rank >= 0, got {}", options.rank));
  points_ = std::make_shared<PointSet>(std::move(data), options.rank);
}

std::int64_t EmpiricalDenoiser::dim() const { return points_->dim(); }
std::int64_t EmpiricalDenoiser::count() const { return points_->count(); }

Tensor EmpiricalDenoiser::evaluate(const Tensor& x, const Tensor& sigma) const {
  Tensor denoised = torch::empty_like(x);
  for_rows(*points_, eps_, x, sigma, [&](std::int64_t first, const Queries& q, const Sums& sums) {
    const Tensor total = torch::tensor(sums.total, torch::kFloat64).unsqueeze(1);
    denoised.narrow(0, first, q.rows()).copy_(points_->centre() + sums.weighted / total);
  });
  return denoised;
}

Tensor EmpiricalDenoiser::share_evaluated(const Tensor& x, double sigma) const {
  require_points("share_evaluated", x, dim());
  if (!(sigma > 0)) throw InvalidArgument(fmt::format("[share_evaluated] expected sigma > 0, got {}", sigma));
  Tensor share = torch::empty({x.size(0)}, torch::kFloat64);
  for_rows(*points_, eps_, x, torch::full({x.size(0), 1}, sigma, torch::kFloat64),
           [&](std::int64_t first, const Queries& q, const Sums& sums) {
             share.narrow(0, first, q.rows()).copy_(torch::tensor(sums.evaluated) / static_cast<double>(count()));
           });
  return share;
}

Tensor empirical_log_density(const EmpiricalDenoiser& denoiser, const Tensor& x, const Tensor& sigma) {
  require_points("empirical_log_density", x, denoiser.dim());
  if (sigma.numel() != 1 && (sigma.dim() != 1 || sigma.size(0) != x.size(0)))
    throw InvalidArgument(fmt::format("[empirical_log_density] expected sigma to be a scalar or of shape [{}], got [{}]", x.size(0),
                                      fmt::join(sigma.sizes().vec(), ", ")));
  if (!(sigma > 0).all().item<bool>() || !sigma.isfinite().all().item<bool>())
    throw InvalidArgument("[empirical_log_density] expected finite sigma > 0");
  const PointSet& points = *denoiser.points_;
  Tensor result = torch::empty({x.size(0)}, x.options());
  const Tensor levels = sigma.detach().to(torch::kFloat64).reshape({-1, 1}).expand({x.size(0), 1});
  for_rows(points, denoiser.eps_, x.detach(), levels, [&](std::int64_t first, const Queries& q, const Sums& sums) {
    for (std::int64_t r = 0; r < q.rows(); ++r) {
      const double variance = q.variance[at(r)], exponent = (q.square[at(r)] / 2 - sums.top[at(r)]) / variance;
      result[first + r] = std::log(sums.total[at(r)] / static_cast<double>(points.count())) - exponent -
                          0.5 * static_cast<double>(points.dim()) * std::log(2 * std::numbers::pi * variance);
    }
  });
  return result;
}

}  // namespace headstart
