#include "headstart/moments/spectral.h"

#include <algorithm>
#include <vector>

#include "tall.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr std::int64_t kRowsAtATime = 128;  // of many, at a time on one thread: what is made for them stays in its cache
constexpr std::int64_t kColumnsAtATime =
    64;                                // of U for few rows, at a time on one thread: they are still in its cache when they are wanted again
constexpr std::int64_t kSegments = 8;  // of U's columns, each with a sum of its own

Tensor rows_of(const Tensor& t, std::int64_t begin, std::int64_t size) {
  return t.dim() == 2 && t.size(0) > 1 ? t.narrow(0, begin, size) : t;
}

/// out += y U diag(gain) U^T.
void by_rows(const Tensor& out, const Tensor& y, const Tensor& basis, const Tensor& gain) {
  Tensor sum = out;
  sum.addmm_(y.mm(basis).mul_(gain), basis.t());
}

/// The same for few rows: U's columns are read once.
void by_columns(const Tensor& out, const Tensor& y, const Tensor& basis, const Tensor& gain) {
  const std::int64_t rank = basis.size(1), blocks = (rank + kColumnsAtATime - 1) / kColumnsAtATime, segments = std::min(kSegments, blocks);
  std::vector<Tensor> parts(static_cast<std::size_t>(segments));
  for_blocks(segments, 1, [&](std::int64_t i, std::int64_t) {
    Tensor part = torch::zeros_like(y);
    for (std::int64_t k = blocks * i / segments; k < blocks * (i + 1) / segments; ++k) {
      const std::int64_t begin = k * kColumnsAtATime, size = std::min(kColumnsAtATime, rank - begin);
      const Tensor columns = basis.narrow(1, begin, size), share = gain.narrow(-1, begin, size);
      if (y.size(0) == 1)
        part[0].addmv_(columns, columns.t().mv(y[0]).mul_(share.flatten()));
      else
        part.addmm_(y.mm(columns).mul_(share), columns.t());
    }
    parts[static_cast<std::size_t>(i)] = part;
  });
  Tensor sum = out;
  for (const Tensor& part : parts) sum.add_(part);
}

Tensor apply(const Tensor& basis, const Tensor& x, const Tensor& mean, const Tensor& modes, const Tensor& tail) {
  const torch::NoGradGuard no_grad;
  const Tensor gain = modes - tail;
  const Tensor out = torch::empty_like(x, torch::MemoryFormat::Contiguous);
  const auto rows = [&](std::int64_t begin, std::int64_t size, const auto& add_modes) {
    Tensor result = out.narrow(0, begin, size), y = x.narrow(0, begin, size);
    if (mean.defined()) {
      y = y - mean;
      at::addcmul_out(result, mean, y, rows_of(tail, begin, size));
    } else {
      at::mul_out(result, y, rows_of(tail, begin, size));
    }
    add_modes(result, y, basis, rows_of(gain, begin, size));
  };
  if (!x.is_cpu())
    rows(0, x.size(0), by_rows);
  else if (x.size(0) < kRowsAtATime)
    rows(0, x.size(0), by_columns);
  else
    for_blocks(x.size(0), x.size(0) < 4 * kRowsAtATime ? kRowsAtATime : 2 * kRowsAtATime,
               [&](std::int64_t begin, std::int64_t size) { rows(begin, size, by_rows); });
  return out;
}

}  // namespace

Tensor apply_spectral(const GaussianStats& stats, const Tensor& y, const Tensor& modes, const Tensor& tail) {
  return apply(stats.basis, y, {}, modes, tail);
}

Tensor apply_spectral_about_mean(const GaussianStats& stats, const Tensor& x, const Tensor& modes, const Tensor& tail) {
  return apply(stats.basis, x, stats.mean, modes, tail);
}

}  // namespace headstart
