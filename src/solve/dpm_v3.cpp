#include "headstart/solve/dpm_v3.h"

#include "march.h"

namespace headstart {
namespace {

using torch::Tensor;
using torch::indexing::None;
using torch::indexing::Slice;

constexpr auto kName = "sample_dpm_v3";

/// A stretch of u = -ln sigma in either direction, cut at the statistics' levels, with l, s and b at the cuts and in the middle of each
/// piece. L and S are the integrals of l and s from its start.
class Stretch {
 public:
  Stretch(const V3Statistics& v3, double from, double to) {
    const double first = -std::log(v3.sigma_max), cells = static_cast<double>(v3.l.size(0) - 1),
                 spacing = std::log(v3.sigma_max / v3.sigma_min) / cells;
    const double a = (from - first) / spacing, b = (to - first) / spacing;  // in levels of the statistics
    std::vector<double> nodes{a};
    const auto add = [&](double cut) { nodes.insert(nodes.end(), {(nodes.back() + cut) / 2, cut}); };
    if (a <= b)
      for (double cut = std::floor(a) + 1; cut < b; ++cut) add(cut);
    else
      for (double cut = std::ceil(a) - 1; cut > b; --cut) add(cut);
    add(b);
    const Tensor at = torch::tensor(nodes, torch::kFloat64).unsqueeze(1), left = at.floor().clamp(0, cells - 1);
    const Tensor row = left.flatten().to(torch::kInt64);
    const auto values = [&](const Tensor& table) {
      return torch::lerp(table.index_select(0, row), table.index_select(0, row + 1), at - left);
    };
    passed_ = (at - a) * spacing;
    l_ = values(v3.l);
    b_ = values(v3.b);
    L_ = integrals(l_);
    S_ = integrals(values(v3.s));
    drift_ = integrals((-S_).exp() * b_);
  }

  /// l where it starts.
  Tensor l() const { return l_[0]; }

  /// exp(-L) at its end.
  Tensor decay() const { return (-L_[-1]).exp(); }

  /// g (eq. 8) of n at its end, with respect to its start.
  Tensor g_of(const Tensor& n) const { return (-S_[-1]).exp() * n - drift_[-1]; }

  /// The integral of exp(L + S) (u - from)^k.
  Tensor moment(int k) const { return integrals((L_ + S_).exp() * passed_.pow(k))[-1]; }

  /// The integral of exp(L + S) int exp(-S) b.
  Tensor bias() const { return integrals((L_ + S_).exp() * drift_)[-1]; }

 private:
  /// From the start to each node, by the parabola through the ends and the middle of each piece: exact for what is linear there.
  Tensor integrals(const Tensor& f) const {
    const Tensor before = f.index({Slice(0, -1, 2)}), middle = f.index({Slice(1, None, 2)}), after = f.index({Slice(2, None, 2)});
    const Tensor width = passed_.index({Slice(2, None, 2)}) - passed_.index({Slice(0, -1, 2)});
    const Tensor whole = width / 6 * (before + 4 * middle + after), ends = whole.cumsum(0);
    Tensor result = torch::zeros_like(f);
    result.index_put_({Slice(1, None, 2)}, ends - whole + width / 24 * (5 * before + 8 * middle - after));
    result.index_put_({Slice(2, None, 2)}, ends);
    return result;
  }

  Tensor passed_, l_, b_, L_, S_, drift_;  // [2 pieces + 1, 1 or D]
};

/// n at a level.
struct Node {
  double u = 0;
  Tensor n;
};

/// x at nodes[0] carried to `to`: algorithm 1, the derivatives of g from all of the nodes.
Tensor local_approximation(const V3Statistics& v3, const Tensor& x, const std::vector<Node>& nodes, double to, bool pseudo) {
  const auto g = [&](std::size_t k) { return Stretch(v3, nodes[0].u, nodes[k].u).g_of(nodes[k].n); };
  const auto delta = [&](std::size_t k) { return nodes[k].u - nodes[0].u; };
  const Stretch ahead(v3, nodes[0].u, to);
  Tensor sum = x - ahead.bias() - ahead.moment(0) * nodes[0].n;
  if (nodes.size() > 1) {
    const Tensor g1 = g(1);
    Tensor first = (g1 - nodes[0].n) / delta(1);
    if (nodes.size() > 2) {
      const Tensor second = ((g(2) - g1) / (delta(2) - delta(1)) - first) / delta(2);  // half the second derivative
      if (!pseudo) first = first - delta(1) * second;
      sum = sum - ahead.moment(2) * second;
    }
    sum = sum - ahead.moment(1) * first;
  }
  return ahead.decay() * sum;
}

const V3Statistics& statistics_for(const SolveOptions& options, std::int64_t dim, const std::vector<double>& sigmas) {
  if (!options.v3) throw InvalidArgument(fmt::format("[{}] expected options.v3, the model's statistics", kName));
  const V3Statistics& v3 = *options.v3;
  require_statistics(kName, v3);
  if (v3.dim() != dim) throw InvalidArgument(fmt::format("[{}] expected statistics of {} dimensions, got {}", kName, dim, v3.dim()));
  for (const double sigma : sigmas)
    if (sigma > 0 && (sigma < v3.sigma_min * (1 - 1e-9) || sigma > v3.sigma_max * (1 + 1e-9)))
      throw InvalidArgument(
          fmt::format("[{}] expected levels in the statistics' range [{}, {}], got {}", kName, v3.sigma_min, v3.sigma_max, sigma));
  return v3;
}

}  // namespace

void require_statistics(const char* function, const V3Statistics& v3) {
  for (const Tensor& table : {v3.l, v3.s, v3.b})
    if (!table.defined() || table.dim() != 2 || table.size(0) < 2 || table.sizes() != v3.l.sizes() ||
        table.scalar_type() != torch::kFloat64)
      throw InvalidArgument(fmt::format("[{}] expected l, s and b to be float64 of one shape [N + 1, D]", function));
  if (!(v3.sigma_min > 0) || !(v3.sigma_max > v3.sigma_min) || !std::isfinite(v3.sigma_max))
    throw InvalidArgument(fmt::format("[{}] expected 0 < sigma_min < sigma_max, got {} and {}", function, v3.sigma_min, v3.sigma_max));
}

Tensor sample_dpm_v3(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  const std::size_t order = order_of(kName, options, 3, 3);
  const V3Statistics& v3 = statistics_for(options, denoiser.dim(), sigmas);
  std::deque<Node> past;  // the newest first
  Tensor start;           // of the last step
  std::size_t taken = 1;  // its order
  return march(kName, denoiser, x, sigmas, options, [&](const Tensor& predicted, std::size_t i) -> Tensor {
    const double u = -std::log(sigmas[i]);
    const Tensor denoised = denoiser.denoise(predicted, sigmas[i]);
    if (sigmas[i + 1] == 0) return denoised;
    const Node now{u, predicted - denoised - Stretch(v3, u, u).l() * predicted};
    const bool repeat = options.corrector && taken > 1;
    Tensor state = predicted;
    if (repeat) {
      std::vector<Node> nodes{past[0], now};
      if (taken > 2) nodes.push_back(past[1]);
      state = local_approximation(v3, start, nodes, u, false);
    }
    past.push_front(now);  // n stays as it was evaluated: the paper's choice of eps at the corrected state
    past.resize(std::min(past.size(), order));
    taken = order_at(i, order, sigmas, options);
    start = state;
    return local_approximation(v3, state, {past.begin(), past.begin() + static_cast<std::ptrdiff_t>(taken)}, -std::log(sigmas[i + 1]),
                               options.pseudo_order);
  });
}

}  // namespace headstart
