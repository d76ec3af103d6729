#include "headstart/moments/fit_mixture.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "clusters.h"
#include "component_update.h"
#include "headstart/core/parallel.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"
#include "headstart/moments/packed_mixture.h"
#include "points.h"
#include "tall.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr double kLeastResponsibility = 1e-8;
constexpr double kFewestPoints = 0.5;  // a component with less of them has lost all

// ---- one pass over the data

/// Responsibilities of a block of points [B, D]: [B, K] float64, and what each point adds to the objective, [B] float64.
using Assignment = std::function<std::pair<Tensor, Tensor>(const Tensor&)>;

/// What a pass gathers of each component, about the (float32) mean it had, in the basis U it had.
struct Gathered {
  Tensor count;    ///< [K] sum of responsibilities w
  Tensor sum;      ///< [K, D] sum of w y, y = x - mean
  Tensor squares;  ///< [K] sum of w |y|^2
  Tensor product;  ///< [K, D, R] sum of w y (U^T y)^T
  double objective = 0;

  explicit Gathered(const MixtureStats& s)
      : count(torch::zeros_like(s.weights)),
        sum(torch::zeros_like(s.mean)),
        squares(torch::zeros_like(s.weights)),
        product(torch::zeros_like(s.basis)) {}

  /// @param x  [B, D], w  [B, K], mean  [K, D], basis  [K, D, R], all float32
  void add(const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& basis) {
    for_blocks(count.size(0), 1, [&](std::int64_t k, std::int64_t) {
      const Tensor column = w.select(1, k), members = column.nonzero().flatten();
      if (members.numel() == 0) return;
      const Tensor y = x.index_select(0, members) - mean[k], share = column.index_select(0, members).unsqueeze(1), weighted = y * share;
      count[k] += share.sum(torch::kFloat64);
      sum[k] += weighted.sum(0);
      squares[k] += (weighted * y).sum(torch::kFloat64);
      product[k] += weighted.t().mm(y.mm(basis[k]));
    });
  }
};

/// Points in a batch: 32 MB with their weights.
std::int64_t batch_rows(const MixtureStats& s) { return std::clamp<std::int64_t>(8'000'000 / (s.dim() + 2 * s.components()), 256, 8192); }
/// Points whose coordinates in all components one thread makes at a time: 8 MB.
std::int64_t block_rows(const MixtureStats& s) { return std::clamp<std::int64_t>(2'000'000 / (s.components() * s.rank()), 16, 512); }

/// One pass: assigns blocks of points, several at once, then gathers for several components at once, so that no two threads add to one sum.
Gathered gather(const Points& points, const MixtureStats& s, const Assignment& assign) {
  Gathered gathered(s);
  const Tensor mean = s.mean.to(torch::kFloat32), basis = s.basis.to(torch::kFloat32);
  points.for_each(batch_rows(s), [&](const Tensor& x) {
    const Tensor weights = torch::empty({x.size(0), s.components()}, torch::kFloat32),
                 objective = torch::empty({x.size(0)}, torch::kFloat64);
    for_blocks(x.size(0), block_rows(s), [&](std::int64_t begin, std::int64_t size) {
      const auto [w, value] = assign(x.narrow(0, begin, size));
      weights.narrow(0, begin, size).copy_(w);
      objective.narrow(0, begin, size).copy_(value);
    });
    gathered.objective += objective.sum().item<double>();
    gathered.add(x, weights, mean, basis);
  });
  gathered.objective /= static_cast<double>(points.count());
  return gathered;
}

/// All of each point to one component.
Tensor all_to_one(const Tensor& index, std::int64_t components) {
  return torch::zeros({index.size(0), components}, torch::kFloat64).scatter_(1, index.unsqueeze(1), 1);
}

Assignment to_nearest_centre(const Tensor& centres, const Tensor& origin) {
  const Tensor shift = origin.to(torch::kFloat32), rounded = (centres - shift).to(torch::kFloat32);
  return [shift, rounded](const Tensor& x) {
    const auto [index, distance] = nearest(x - shift, rounded);
    return std::pair(all_to_one(index, rounded.size(0)), -distance.to(torch::kFloat64));
  };
}

Assignment to_nearest_subspace(const MixtureStats& s) {
  return [mixture = PackedMixture(s, torch::kFloat32)](const Tensor& x) {
    const auto [distance, index] = mixture.residuals(mixture.project(x)).min(1);
    return std::pair(all_to_one(index, mixture.components()), -distance);
  };
}

/// The E step.
Assignment by_posterior(const MixtureStats& s) {
  return [mixture = PackedMixture(s, torch::kFloat32)](const Tensor& x) {
    const Tensor joint = mixture.log_joint(mixture.project(x), torch::zeros({1, 1}, torch::kFloat64));
    return std::pair(responsibilities(joint, kLeastResponsibility), log_density(joint));
  };
}

double mean_log_likelihood(const Points& points, const MixtureStats& s) {
  const PackedMixture mixture(s, torch::kFloat32);
  double sum = 0;
  points.for_each(batch_rows(s), [&](const Tensor& x) {
    const Tensor values = torch::empty({x.size(0)}, torch::kFloat64);
    for_blocks(x.size(0), block_rows(s), [&](std::int64_t begin, std::int64_t size) {
      const Tensor rows = x.narrow(0, begin, size);
      values.narrow(0, begin, size).copy_(log_density(mixture.log_joint(mixture.project(rows), torch::zeros({1, 1}, torch::kFloat64))));
    });
    sum += values.sum().item<double>();
  });
  return sum / static_cast<double>(points.count());
}

// ---- the fit

/// Orthonormal columns with the same span, [K, D, R].
Tensor orthonormal(const Tensor& columns) {
  return on_one_thread([&] { return std::get<0>(torch::linalg_qr(columns)); });
}

class Em {
 public:
  Em(const Points& points, const MixtureOptions& options, std::int64_t rank)
      : points_(points), o_(options), rank_(rank), floor_(std::max(options.variance_floor * points.mean_variance(), 1e-30)) {}

  MixtureFit run() {
    start();
    for (double before = -std::numeric_limits<double>::infinity();;) {
      const Gathered gathered = gather(points_, stats_, assignment());
      if (!std::isfinite(gathered.objective)) throw NumericalError("[fit_mixture] expected a finite likelihood");
      fit_.history.push_back(gathered.objective);
      if (gathered.objective - before < o_.tolerance || fit_.iterations == o_.max_iterations) break;
      update(gathered);
      ++fit_.iterations;
      before = split_empty_ones() ? -std::numeric_limits<double>::infinity() : gathered.objective;
    }
    settle();
    points_.describe(stats_);
    stats_.count = points_.count();
    fit_.stats = stats_;
    return std::move(fit_);
  }

 private:
  bool is_full() const { return rank_ == points_.dim(); }
  bool has_tail() const { return !is_full() && o_.covariance != CovarianceKind::subspaces; }

  Assignment assignment() const { return o_.covariance == CovarianceKind::subspaces ? to_nearest_subspace(stats_) : by_posterior(stats_); }

  /// Components around k-means centres, with directions that power iteration has found among their points.
  void start() {
    const KMeans clusters = cluster(points_, {.components = o_.components, .seed = o_.seed, .max_iterations = 10, .tolerance = 0.01});
    const std::int64_t dim = points_.dim(), k = o_.components;
    stats_.weights = torch::full({k}, 1.0 / static_cast<double>(k), torch::kFloat64);
    stats_.mean = clusters.centres;
    stats_.eigenvalues = torch::zeros({k, rank_}, torch::kFloat64);
    stats_.tail = torch::zeros({k}, torch::kFloat64);
    at::Generator random = at::detail::createCPUGenerator(o_.seed + 2);
    stats_.basis =
        is_full() ? torch::eye(dim, torch::kFloat64).repeat({k, 1, 1}) : orthonormal(at::randn({k, dim, rank_}, random, torch::kFloat64));
    const Assignment assign = to_nearest_centre(clusters.centres, points_.mean());
    for (int round = 0; !is_full() && round < 2; ++round) stats_.basis = orthonormal(gather(points_, stats_, assign).product);
    update(gather(points_, stats_, assign));
    split_empty_ones();
  }

  /// The M step, and for low ranks a step towards its basis.
  void update(const Gathered& g) {
    stats_.weights = g.count / g.count.sum();
    const Tensor reference = stats_.mean.to(torch::kFloat32).to(torch::kFloat64);  // what was subtracted
    for_blocks(stats_.components(), 1, [&](std::int64_t k, std::int64_t) {
      const double n = g.count[k].item<double>();
      if (n < kFewestPoints) {  // stays as it is until it is split
        stats_.eigenvalues[k].clamp_min_(floor_);
        if (has_tail()) stats_.tail[k].clamp_min_(floor_);
        return;
      }
      const Tensor basis = stats_.basis[k], offset = g.sum[k] / n;  // from the old mean to the new one
      Spread spread;
      spread.product = g.product[k] / n - torch::outer(offset, basis.t().mv(offset));
      spread.inner = basis.t().mm(spread.product);
      spread.inner = 0.5 * (spread.inner + spread.inner.t());
      spread.trace = g.squares[k].item<double>() / n - offset.square().sum().item<double>();
      const Spectrum updated = updated_spectrum(spread, basis);
      stats_.mean[k].copy_(reference[k] + offset);
      stats_.basis[k].copy_(updated.basis);
      stats_.eigenvalues[k].copy_(updated.eigenvalues);
      stats_.tail[k] = updated.tail;
    });
    counts_ = g.count;
  }

  Spectrum updated_spectrum(const Spread& spread, const Tensor& basis) const {
    if (o_.covariance == CovarianceKind::diagonal) return updated_diagonal(spread, basis, floor_);
    return is_full() ? updated_full(spread, basis, floor_) : updated_lowrank(spread, floor_, has_tail());
  }

  /// A component without points takes over half of the largest one: both move half a standard deviation apart along its first direction,
  /// which keeps mean and covariance of the two together.
  bool split_empty_ones() {
    bool has_split = false;
    for (std::int64_t k = 0; k < stats_.components(); ++k) {
      if (counts_[k].item<double>() >= kFewestPoints || fit_.splits >= stats_.components()) continue;
      const auto largest = counts_.argmax().item<std::int64_t>();
      const Tensor step = 0.5 * stats_.eigenvalues[largest][0].sqrt() * stats_.basis[largest].select(1, 0);
      stats_.basis[k].copy_(stats_.basis[largest]);
      stats_.eigenvalues[largest][0].mul_(0.75).clamp_min_(floor_);
      stats_.eigenvalues[k].copy_(stats_.eigenvalues[largest]);
      stats_.tail[k] = stats_.tail[largest];
      stats_.mean[k].copy_(stats_.mean[largest] + step);
      stats_.mean[largest].sub_(step);
      for (const Tensor& shared : {counts_, stats_.weights}) {
        const double half = 0.5 * (shared[k] + shared[largest]).item<double>();
        shared[k] = half;
        shared[largest] = half;
      }
      ++fit_.splits;
      has_split = true;
    }
    return has_split;
  }

  /// Puts directions into the order and the signs of the file: a split component's first may not be the largest.
  void settle() {
    for (std::int64_t k = 0; k < stats_.components(); ++k) {
      const auto [values, order] = stats_.eigenvalues[k].sort(/*stable=*/true, 0, /*descending=*/true);
      stats_.eigenvalues[k].copy_(values);
      stats_.basis[k].copy_(stats_.basis[k].index_select(1, order));
      settle_signs(stats_.basis[k]);
    }
  }

  const Points& points_;
  const MixtureOptions& o_;
  std::int64_t rank_;
  double floor_;
  MixtureStats stats_;
  Tensor counts_;  // [K] points of each component at the last update
  MixtureFit fit_;
};

/// Free parameters of one component's covariance.
double covariance_parameters(CovarianceKind kind, double dim, double rank) {
  const double tail = rank < dim ? 1 : 0;
  return kind == CovarianceKind::diagonal ? dim : dim * rank - rank * (rank - 1) / 2 + tail;
}

std::int64_t rank_of(const MixtureOptions& o, std::int64_t dim) {
  if (o.covariance == CovarianceKind::full || o.covariance == CovarianceKind::diagonal) return dim;
  return o.rank > 0 ? o.rank : std::min<std::int64_t>(32, dim);
}

void require_valid(const MixtureOptions& o, std::int64_t dim, std::int64_t count) {
  const auto refuse = [](const std::string& what) { throw InvalidArgument("[fit_mixture] expected " + what); };
  if (o.components < 1 || o.components > count) refuse(fmt::format("1 to N = {} components, got {}", count, o.components));
  if (o.rank < 0 || o.rank > dim) refuse(fmt::format("a rank from 1 to D = {}, got {}", dim, o.rank));
  if (o.rank > 0 && o.rank < rank_of(o, dim))
    refuse(fmt::format("no rank below D = {} for {} covariances, got {}", dim, to_string(o.covariance), o.rank));
  if (o.max_iterations < 1) refuse(fmt::format("at least 1 iteration, got {}", o.max_iterations));
  if (!(o.tolerance >= 0)) refuse(fmt::format("a tolerance >= 0, got {}", o.tolerance));
  if (!(o.variance_floor > 0 && o.variance_floor < 1)) refuse(fmt::format("a variance floor in (0, 1), got {}", o.variance_floor));
  if (!(o.held_out >= 0 && o.held_out <= 0.5)) refuse(fmt::format("a held-out share in [0, 0.5], got {}", o.held_out));
}

/// The points to fit, and those to measure on: the last of every 1 / share.
struct Parts {
  Points fitted;
  std::optional<Points> held_out;

  Parts(const Points& all, double share) : fitted(all) {
    if (share <= 0) return;
    const auto every = static_cast<std::int64_t>(std::lround(1 / share));
    fitted = all.part([every](std::int64_t i) { return i % every != every - 1; });
    held_out = all.part([every](std::int64_t i) { return i % every == every - 1; });
    if (held_out->count() == 0)
      throw InvalidArgument(fmt::format("[fit_mixture] expected at least {} points to hold one of them out, got {}", every, all.count()));
  }
};

/// Fills in the criteria of a mixture that was fitted to these points.
void judge(MixtureFit& fit, const Parts& parts, CovarianceKind kind) {
  fit.passes = parts.fitted.passes();
  if (kind == CovarianceKind::subspaces) {
    fit.log_likelihood = fit.bic = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  const auto k = static_cast<double>(fit.stats.components()), d = static_cast<double>(fit.stats.dim());
  const double parameters = k - 1 + k * (d + covariance_parameters(kind, d, static_cast<double>(fit.stats.rank())));
  const auto n = static_cast<double>(parts.fitted.count());
  fit.log_likelihood = fit.history.back();
  fit.bic = -2 * n * fit.log_likelihood + parameters * std::log(n);
  if (parts.held_out) fit.held_out_log_likelihood = mean_log_likelihood(*parts.held_out, fit.stats);
  fit.passes = parts.fitted.passes();
}

MixtureFit fit_points(const Points& points, const MixtureOptions& o) {
  const Parts parts(points, o.held_out);
  require_valid(o, points.dim(), parts.fitted.count());
  MixtureFit fit = Em(parts.fitted, o, rank_of(o, points.dim())).run();
  judge(fit, parts, o.covariance);
  return fit;
}

Points opened(ImageStream& stream, const MixtureOptions& o) { return Points(stream, o.limit, o.memory, o.on_progress); }

}  // namespace

std::string to_string(CovarianceKind kind) {
  switch (kind) {
    case CovarianceKind::full:
      return "full";
    case CovarianceKind::diagonal:
      return "diag";
    case CovarianceKind::subspaces:
      return "subspaces";
    default:
      return "lowrank";
  }
}

MixtureFit fit_mixture(ImageStream& stream, const MixtureOptions& options) {
  require_valid(options, stream.shape().dim(), images_wanted(stream, options.limit));
  return fit_points(opened(stream, options), options);
}

MixtureFit fit_mixture_per_class(ImageStream& stream, const MixtureOptions& options) {
  const std::vector<std::int64_t>& labels = stream.labels();
  if (labels.empty()) throw InvalidArgument("[fit_mixture_per_class] expected data with labels, got none");
  require_valid(options, stream.shape().dim(), images_wanted(stream, options.limit));
  const Points points = opened(stream, options);
  const Parts parts(points, options.held_out);
  const std::set<std::int64_t> classes(labels.begin(), labels.begin() + points.count());

  MixtureFit whole;
  std::vector<MixtureStats> mixtures;
  std::vector<double> shares;
  for (const std::int64_t label : classes) {
    const Points members = parts.fitted.part([&](std::int64_t i) { return labels[static_cast<std::size_t>(i)] == label; });
    if (members.count() < options.components)
      throw InvalidArgument(fmt::format("[fit_mixture_per_class] expected at least {} points of class {}, got {}", options.components,
                                        label, members.count()));
    MixtureFit fit = Em(members, options, rank_of(options, points.dim())).run();
    fit.stats.classes.assign(static_cast<std::size_t>(options.components), label);
    mixtures.push_back(fit.stats);
    shares.push_back(static_cast<double>(members.count()));
    whole.iterations = std::max(whole.iterations, fit.iterations);
    whole.splits += fit.splits;
  }
  whole.stats = joined(mixtures, shares);
  points.describe(whole.stats);
  whole.stats.count = parts.fitted.count();
  if (options.covariance != CovarianceKind::subspaces) whole.history = {mean_log_likelihood(parts.fitted, whole.stats)};
  judge(whole, parts, options.covariance);
  return whole;
}

MixtureChoice choose_mixture(ImageStream& stream, const MixtureOptions& options) {
  if (options.covariance == CovarianceKind::subspaces)
    throw InvalidArgument("[choose_mixture] expected covariances with a density, got subspaces");
  MixtureOptions trial = options;
  trial.components = 1;
  trial.held_out = options.held_out > 0 ? options.held_out : 0.1;
  trial.max_iterations = std::min<std::int64_t>(options.max_iterations, 15);
  require_valid(trial, stream.shape().dim(), images_wanted(stream, options.limit));
  const Points points = opened(stream, options);
  const std::int64_t dim = points.dim(), most = std::max<std::int64_t>(1, points.count() / 20);  // a component wants some points
  const bool is_rank_free = options.rank == 0 && options.covariance == CovarianceKind::lowrank;

  MixtureChoice choice;
  using Numbers = std::pair<std::int64_t, std::int64_t>;  // components, rank
  std::map<Numbers, double> known;
  const auto value = [&](Numbers numbers) {
    if (const auto found = known.find(numbers); found != known.end()) return found->second;
    std::tie(trial.components, trial.rank) = numbers;
    const double likelihood = fit_points(points, trial).held_out_log_likelihood;
    choice.trials.push_back({numbers.first, numbers.second, likelihood});
    return known[numbers] = likelihood;
  };
  Numbers best{std::min<std::int64_t>(8, most), is_rank_free ? std::min<std::int64_t>(16, dim) : rank_of(options, dim)};
  for (bool is_better = true; is_better;) {
    is_better = false;
    const auto [k, r] = best;
    std::vector<Numbers> neighbours = {{std::min(2 * k, most), r}, {std::max<std::int64_t>(k / 2, 1), r}};
    if (is_rank_free) neighbours.insert(neighbours.end(), {{k, std::min(2 * r, dim)}, {k, std::max<std::int64_t>(r / 2, 1)}});
    for (const Numbers& numbers : neighbours) {
      if (!(value(numbers) > value(best) + options.tolerance)) continue;
      best = numbers;
      is_better = true;
    }
  }
  MixtureOptions last = options;
  std::tie(last.components, last.rank) = best;
  last.held_out = 0;
  choice.fit = fit_points(points, last);
  choice.fit.held_out_log_likelihood = known[best];
  return choice;
}

}  // namespace headstart
