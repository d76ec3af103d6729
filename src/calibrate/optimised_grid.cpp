#include "headstart/calibrate/optimised_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "headstart/core/parallel.h"
#include "headstart/data/atomic_file.h"
#include "headstart/error.h"
#include "headstart/solve/one_step.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr std::int64_t kDirections = 16;  // of the Gaussian that carries errors to the end

/// Mean squared errors of single steps from exact states, as they are at the end of the path. The errors are linear in the states, the
/// estimates and the ends, so that the products of these are all that is needed.
class StepErrors {
 public:
  explicit StepErrors(const GridPaths& paths) : levels_(paths.states.size(0)) {
    parallel_shards(1, [&](std::int64_t) { measure(paths); });  // sums that decide between grids must not depend on the number of threads
  }

  std::int64_t levels() const { return levels_; }

  /// Of DPM-Solver++ (2M) from one level to another, with the estimate at the level before; of its first step where that is the same.
  double step(std::int64_t before, std::int64_t from, std::int64_t to) const {
    const double h = u(to) - u(from), gain = -std::expm1(-h), ahead = before == from ? 0 : 0.5 * h / (u(from) - u(before));
    return mean_square({{{from, std::exp(-h)}, {levels_ + from, gain * (1 + ahead)}, {levels_ + before, -gain * ahead}, {to, -1}}},
                       kept_.data_ptr<double>() + to * kept_.size(1));
  }

  /// Of the estimate at a level, taken for the end.
  double final_denoise(std::int64_t from) const { return mean_square({{{levels_ + from, 1}, {2 * levels_, -1}}}, nullptr); }

 private:
  using Terms = std::array<std::pair<std::int64_t, double>, 4>;  // rows of the vectors and their coefficients

  void measure(const GridPaths& paths) {
    for (const double sigma : paths.sigmas) u_.push_back(-std::log(sigma));
    const Tensor ends = paths.denoised[-1], centred = ends - ends.mean(0);
    const auto count = static_cast<double>(ends.size(0));
    const std::int64_t dim = ends.size(1), rank = std::min({kDirections, dim, ends.size(0) - 1});
    const auto [left, lengths, right] = torch::linalg_svd(centred, /*full_matrices=*/false);
    const Tensor basis = right.narrow(0, 0, rank).t(), variances = lengths.narrow(0, 0, rank).square() / count;
    const Tensor rest = (centred.square().sum() / count - variances.sum()) / static_cast<double>(std::max<std::int64_t>(dim - rank, 1));

    const Tensor vectors = torch::cat({paths.states, paths.denoised, ends.unsqueeze(0)}), along = vectors.matmul(basis);
    std::vector<Tensor> products;
    const auto add = [&](const Tensor& rows) { products.push_back(rows.mm(rows.t()) / count); };
    for (std::int64_t r = 0; r < rank; ++r) add(along.select(2, r));
    add((vectors - along.matmul(basis.t())).flatten(1));
    products_ = torch::stack(products, 2).contiguous();

    // A kick at sigma along a direction of variance lambda has become sqrt(lambda / (lambda + sigma^2)) of it at the end.
    const Tensor lambda = torch::cat({variances, rest.clamp_min(1e-12).reshape({1})});
    kept_ = (lambda / (lambda + (-2 * torch::tensor(u_, torch::kFloat64)).exp().unsqueeze(1))).contiguous();
  }

  double u(std::int64_t i) const { return u_[static_cast<std::size_t>(i)]; }

  /// Mean squared length of a sum of the vectors over the paths; `kept` is the share of each direction's square.
  double mean_square(const Terms& terms, const double* kept) const {
    const std::int64_t size = products_.size(0), directions = products_.size(2);
    double sum = 0;
    for (const auto& [i, a] : terms)
      for (const auto& [j, b] : terms) {
        if (a == 0 || b == 0) continue;
        const double* product = products_.data_ptr<double>() + (i * size + j) * directions;
        for (std::int64_t r = 0; r < directions; ++r) sum += a * b * product[r] * (kept ? kept[r] : 1);
      }
    return std::max(sum, 0.0);  // below 0 by rounding
  }

  std::int64_t levels_;
  std::vector<double> u_;
  Tensor products_;  // [2 M + 1, 2 M + 1, R + 1], along each direction and beside all
  Tensor kept_;      // [M, R + 1]
};

/// The least error of a path whose last two levels are these, and the level before them.
struct Reached {
  double error = std::numeric_limits<double>::infinity();
  std::int64_t before = 0;
};

/// Tables of Reached by the number of steps, [before last, last]; of one step, before last = last = 0.
class Search {
 public:
  Search(const StepErrors& errors, std::int64_t most) : errors_(errors), levels_(errors.levels()) {
    tables_.emplace_back(levels_ * levels_);
    tables_[0][0] = {.error = 0};
    while (std::ssize(tables_) < most) extend();
  }

  /// Indices of the best `steps` levels.
  std::vector<std::int64_t> best(std::int64_t steps) const {
    const auto& table = tables_[static_cast<std::size_t>(steps) - 1];
    std::int64_t from = 0, last = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t k = 0; k < levels_; ++k)
      for (std::int64_t i = k; i < levels_; ++i)
        if (const double error = at(table, k, i).error + errors_.final_denoise(i); error < least)
          std::tie(least, from, last) = std::tuple(error, k, i);
    std::vector<std::int64_t> path{last};
    for (std::int64_t n = steps; n > 1; --n) {
      path.push_back(from);
      std::tie(from, last) = std::pair(at(tables_[static_cast<std::size_t>(n) - 1], from, last).before, from);
    }
    std::ranges::reverse(path);
    return path;
  }

 private:
  using Table = std::vector<Reached>;
  const Reached& at(const Table& table, std::int64_t k, std::int64_t i) const { return table[static_cast<std::size_t>(k * levels_ + i)]; }

  void extend() {
    const Table& shorter = tables_.back();
    Table table(shorter.size());
    for (std::int64_t k = 0; k < levels_; ++k)
      for (std::int64_t i = k; i < levels_; ++i) {
        const double so_far = at(shorter, k, i).error;
        if (!std::isfinite(so_far)) continue;
        for (std::int64_t j = i + 1; j < levels_; ++j) {
          Reached& reached = table[static_cast<std::size_t>(i * levels_ + j)];
          if (const double error = so_far + errors_.step(k, i, j); error < reached.error) reached = {.error = error, .before = k};
        }
      }
    tables_.push_back(std::move(table));
  }

  const StepErrors& errors_;
  std::int64_t levels_;
  std::vector<Table> tables_;
};

}  // namespace

GridPaths follow_paths(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas) {
  require_points("follow_paths", x, denoiser.dim());
  require_sigmas("follow_paths", sigmas);
  if (sigmas.back() == 0) throw InvalidArgument("[follow_paths] expected levels > 0, got 0");
  std::vector<Tensor> states{x.to(torch::kFloat64)}, denoised;
  sample_heun(denoiser, states[0], sigmas, {.on_step = [&](std::size_t, const Tensor& state) { states.push_back(state); }});
  for (std::size_t i = 0; i < sigmas.size(); ++i) denoised.push_back(denoiser.denoise(states[i], sigmas[i]));
  return {.sigmas = sigmas, .states = torch::stack(states), .denoised = torch::stack(denoised)};
}

std::map<std::int64_t, std::vector<double>> optimised_grids(const GridPaths& paths, const std::vector<std::int64_t>& steps) {
  const auto levels = static_cast<std::int64_t>(paths.sigmas.size());
  if (levels < 3 || paths.states.size(1) < 2)
    throw InvalidArgument(
        fmt::format("[optimised_grids] expected at least 3 levels and 2 paths, got {} and {}", levels, paths.states.size(1)));
  for (const std::int64_t n : steps)
    if (n < 1 || n > levels) throw InvalidArgument(fmt::format("[optimised_grids] expected 1 to {} steps, got {}", levels, n));
  std::map<std::int64_t, std::vector<double>> grids;
  if (steps.empty()) return grids;
  const StepErrors errors(paths);
  const Search search(errors, *std::ranges::max_element(steps));
  for (const std::int64_t n : steps) {
    for (const std::int64_t i : search.best(n)) grids[n].push_back(paths.sigmas[static_cast<std::size_t>(i)]);
    grids[n].push_back(0);
  }
  return grids;
}

void save_grids(const std::string& path, const GridFile& file) {
  nlohmann::ordered_json json{{"format", "headstart-grids"}, {"network_sha256", file.network_sha256}};
  for (const auto& [steps, sigmas] : file.grids) json["grids"][std::to_string(steps)] = sigmas;
  write_file_atomically(path, json.dump(1) + "\n");
}

GridFile load_grids(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw DataError(path, "no such file");
  const auto json = nlohmann::json::parse(stream, nullptr, false);
  GridFile file;
  try {
    if (json.at("format") != "headstart-grids") throw DataError(path, "expected format headstart-grids");
    file.network_sha256 = json.at("network_sha256").get<std::string>();
    for (const auto& [steps, sigmas] : json.at("grids").items()) {
      const auto grid = sigmas.get<std::vector<double>>();
      require_sigmas("load_grids", grid);
      if (grid.back() != 0 || std::to_string(grid.size() - 1) != steps)
        throw DataError(path, fmt::format("expected {} levels and a final 0 in the grid of that name", steps));
      file.grids[std::ssize(grid) - 1] = grid;
    }
  } catch (const DataError&) {
    throw;
  } catch (const std::exception& e) {  // JSON of another form, a number of steps that is none, a grid that is none
    throw DataError(path, fmt::format("expected optimised grids: {}", e.what()));
  }
  return file;
}

}  // namespace headstart
