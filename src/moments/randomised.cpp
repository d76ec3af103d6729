#include "headstart/moments/randomised.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "batches.h"
#include "descending_eigh.h"
#include "headstart/core/parallel.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"
#include "tall.h"

namespace headstart {
namespace {

using torch::Tensor;

/// The covariance of a stream as an operator, and what its first pass finds out on the way.
class StreamedCovariance {
 public:
  StreamedCovariance(ImageStream& stream, std::int64_t limit, torch::ScalarType dtype)
      : stream_(stream),
        wanted_(images_wanted(stream, limit)),
        dtype_(dtype),
        provenance_(stream),
        shift_(torch::zeros({dim()}, torch::kFloat32)),
        sum_(torch::zeros({dim()}, torch::kFloat64)),
        squares_(torch::zeros({dim()}, torch::kFloat64)) {}

  std::int64_t dim() const { return stream_.shape().dim(); }
  std::int64_t wanted() const { return wanted_; }
  Tensor mean() const { return shift_.to(torch::kFloat64) + offset(); }
  double trace() const {
    return on_one_thread([&] { return (squares_.sum() / count() - offset().square().sum()).item<double>(); });
  }
  void describe(GaussianStats& stats) const { provenance_.describe(stats); }

  /// product <- Sigma q in one pass. @param q  [D, L] of the dtype, product  [D, L] float64
  void multiply(const Tensor& q, const Tensor& product, const std::function<void(std::int64_t)>& on_progress) {
    product.zero_();
    stream_.rewind();
    std::int64_t done = 0;
    for_each_batch(stream_, wanted_, randomised_batch_rows(dim()), [&](const Tensor& x) {
      if (passes_ == 0) provenance_.add(x);
      add_batch(x, q, product, done == 0);
      done += x.size(0);
      on_progress(done);
    });
    if (passes_ > 0 && done != count_)
      throw NumericalError(fmt::format("[fit_gaussian_randomised] expected {} images in every pass, got {}", count_, done));
    count_ = done;
    ++passes_;
    // Sigma = Y^T Y / N - d d^T for data shifted by almost their mean, d being the little that is left.
    const Tensor left = offset(), inner = left_product(left, q);
    for_blocks(dim(), block(), [&](std::int64_t begin, std::int64_t size) {
      product.narrow(0, begin, size).div_(count()).sub_(torch::outer(left.narrow(0, begin, size), inner));
    });
  }

 private:
  double count() const { return static_cast<double>(count_); }
  std::int64_t block() const { return tall_block(dim()); }
  Tensor offset() const { return sum_ / count(); }

  /// d^T q, [L], summed over blocks in their order.
  Tensor left_product(const Tensor& d, const Tensor& q) const {
    const Tensor parts = torch::empty({(dim() + block() - 1) / block(), q.size(1)}, torch::kFloat64);
    for_blocks(dim(), block(), [&](std::int64_t begin, std::int64_t size) {
      parts.select(0, begin / block()).copy_(q.narrow(0, begin, size).to(torch::kFloat64).t().mv(d.narrow(0, begin, size)));
    });
    return parts.sum(0);
  }

  /// product += y^T (y q) for the shifted batch y. Both products are cut along D, so that data and q are read once each.
  void add_batch(const Tensor& x, const Tensor& q, const Tensor& product, bool is_first) {
    const std::int64_t rows = x.size(0), pieces = (dim() + block() - 1) / block();
    const Tensor parts = torch::empty({pieces, rows, q.size(1)}, dtype_), coordinates = torch::empty({rows, q.size(1)}, dtype_);
    const auto shifted = [&](std::int64_t begin, std::int64_t size, torch::ScalarType dtype) {
      return x.narrow(1, begin, size).to(dtype) - shift_.narrow(0, begin, size);
    };
    for_blocks(dim(), block(), [&](std::int64_t begin, std::int64_t size) {
      if (passes_ == 0) {
        if (is_first) shift_.narrow(0, begin, size).copy_(x.narrow(1, begin, size).mean(0));
        const Tensor y = shifted(begin, size, torch::kFloat64);
        sum_.narrow(0, begin, size).add_(y.sum(0));
        squares_.narrow(0, begin, size).add_(y.square().sum(0));
      }
      Tensor part = parts.select(0, begin / block());
      torch::mm_out(part, shifted(begin, size, dtype_), q.narrow(0, begin, size));
    });
    for_blocks(rows, 16, [&](std::int64_t begin, std::int64_t size) {
      coordinates.narrow(0, begin, size).copy_(parts.narrow(1, begin, size).sum(0));
    });
    for_blocks(dim(), block(), [&](std::int64_t begin, std::int64_t size) {
      product.narrow(0, begin, size).add_(shifted(begin, size, dtype_).t().mm(coordinates));
    });
  }

  ImageStream& stream_;
  std::int64_t wanted_;
  torch::ScalarType dtype_;
  Provenance provenance_;
  Tensor shift_, sum_, squares_;  // sums over the shifted data
  std::int64_t count_ = 0, passes_ = 0;
};

/// a^T b, [L, L] float64, for a symmetric product of [D, L].
Tensor gram(const Tensor& a, const Tensor& b) {
  const Tensor out = torch::zeros({a.size(1), a.size(1)}, torch::kFloat64);
  add_gram(out, a, b);
  fill_upper(out);
  return out;
}

/// Nearly orthonormal columns with the same span, in place. Each round divides by the root of the columns' Gram matrix, which after scaling
/// the columns to length 1 is as good as QR where they are nearly orthogonal already, and needs no second copy of y. Columns that are
/// nothing become random ones: data of a low rank still have R eigenvectors.
void orthonormalise(const Tensor& y, at::Generator& random) {
  constexpr int kRounds = 5;
  for (int round = 0; round < kRounds; ++round) {
    Tensor inner = gram(y, y);
    const Tensor nothing = (inner.diagonal() < 1e-300).nonzero().flatten();
    if (nothing.numel() > 0) {
      y.index_copy_(1, nothing, at::randn({y.size(0), nothing.numel()}, random, torch::kFloat64));
      inner = gram(y, y);
    }
    const Tensor lengths = inner.diagonal().sqrt();
    const auto [values, vectors] = descending_eigh(inner / torch::outer(lengths, lengths));
    multiply_in_place(y, vectors / lengths.unsqueeze(1) * values.clamp_min(1e-14).rsqrt());
    const Tensor spent = (values < 1e-14).nonzero().flatten();  // what is left of them is rounding
    y.index_copy_(1, spent, at::randn({y.size(0), spent.numel()}, random, torch::kFloat64));
    if (values.min().item<double>() > 1e-6) return;  // orthonormal to 1e-10 now; ritz() does the rest
  }
}

/// Rayleigh-Ritz: the eigenvalues of Sigma in the span of q, descending, and W such that q W are its orthonormal eigenvectors. q itself is
/// orthonormal only to its own precision.
std::pair<Tensor, Tensor> ritz(const Tensor& q, const Tensor& product) {
  const Tensor own = gram(q, q), shared = gram(q, product);
  return on_one_thread([&]() -> std::pair<Tensor, Tensor> {
    const Tensor root = torch::linalg_cholesky(own);
    const auto divide = [&](const Tensor& m) { return torch::linalg_solve_triangular(root, m, /*upper=*/false); };
    const auto [values, vectors] = descending_eigh(divide(divide(shared).t()));
    return {values, torch::linalg_solve_triangular(root.t(), vectors, /*upper=*/true)};
  });
}

/// |Sigma u - theta u| for u = q w, given Sigma u; [R] for the first R columns of each.
Tensor residual_norms(const Tensor& product, const Tensor& q, const Tensor& w, const Tensor& theta) {
  const std::int64_t dim = q.size(0), block = tall_block(dim), rank = theta.size(0);
  const Tensor parts = torch::empty({(dim + block - 1) / block, rank}, torch::kFloat64);
  for_blocks(dim, block, [&](std::int64_t begin, std::int64_t size) {
    const Tensor u = q.narrow(0, begin, size).to(torch::kFloat64).mm(w.narrow(1, 0, rank));
    parts.select(0, begin / block).copy_((product.narrow(0, begin, size).narrow(1, 0, rank) - u * theta).square().sum(0));
  });
  return parts.sum(0).sqrt();
}

/// The first columns of q w, float64.
Tensor leading_vectors(const Tensor& q, const Tensor& w, std::int64_t rank) {
  Tensor basis = torch::empty({q.size(0), rank}, torch::kFloat64);
  for_blocks(q.size(0), tall_block(q.size(0)), [&](std::int64_t begin, std::int64_t size) {
    basis.narrow(0, begin, size).copy_(q.narrow(0, begin, size).to(torch::kFloat64).mm(w.narrow(1, 0, rank)));
  });
  return basis;
}

void require_valid(const RandomisedOptions& o, std::int64_t columns, std::int64_t most) {
  const auto refuse = [](const std::string& what) { throw InvalidArgument("[fit_gaussian_randomised] expected " + what); };
  if (o.rank < 1 || o.rank > most) refuse(fmt::format("a rank from 1 to min(D, N - 1) = {}, got {}", most, o.rank));
  if (columns < o.rank || columns > most) refuse(fmt::format("columns from {} to {}, got {}", o.rank, most, columns));
  if (!(o.tolerance > 0)) refuse(fmt::format("a tolerance > 0, got {}", o.tolerance));
  if (o.max_passes < 2) refuse(fmt::format("at least 2 passes, got {}", o.max_passes));
}

}  // namespace

RandomisedFit fit_gaussian_randomised(ImageStream& stream, const RandomisedOptions& o) {
  const auto dtype = o.tolerance < 1e-4 ? torch::kFloat64 : torch::kFloat32;
  const double rounding = dtype == torch::kFloat64 ? 1e-10 : 1e-5;  // of the first eigenvalue: beyond it all is noise
  StreamedCovariance covariance(stream, o.limit, dtype);
  const std::int64_t dim = covariance.dim(), most = std::min(dim, covariance.wanted() - 1);
  const std::int64_t columns = o.columns > 0 ? o.columns : std::min(most, o.rank + std::max<std::int64_t>(o.rank, 16));
  require_valid(o, columns, most);

  at::Generator random = at::detail::createCPUGenerator(o.seed);
  Tensor product = at::randn({dim, columns}, random, torch::kFloat32).to(torch::kFloat64);
  Tensor q = torch::empty({dim, columns}, dtype), theta, w;
  RandomisedFit fit;
  while (true) {
    orthonormalise(product, random);
    q.copy_(product);
    ++fit.passes;
    covariance.multiply(q, product, [&](std::int64_t done) {
      if (o.on_progress) o.on_progress(fit.passes, done);
    });
    if (!std::isfinite(product.sum().item<double>())) throw NumericalError("[fit_gaussian_randomised] expected a finite covariance");
    std::tie(theta, w) = ritz(q, product);
    multiply_in_place(product, w);
    const Tensor leading = theta.narrow(0, 0, o.rank);
    fit.residuals = residual_norms(product, q, w, leading);
    const double least = std::max(rounding * theta[0].item<double>(), 1e-300);
    fit.residual = (fit.residuals / leading.clamp_min(least)).max().item<double>();
    if (fit.residual <= o.tolerance || fit.passes == o.max_passes) break;
  }
  product = Tensor();  // its memory is wanted for the basis

  fit.trace = covariance.trace();
  const double left_out = fit.trace - theta.sum().item<double>();
  fit.energy_error = fit.trace > 0 ? std::clamp(std::min(left_out, fit.residuals.sum().item<double>()) / fit.trace, 0.0, 1.0) : 0.0;
  fit.stats.mean = covariance.mean();
  fit.stats.basis = leading_vectors(q, w, o.rank);
  settle_signs(fit.stats.basis);
  fit.stats.clipped = std::min(theta[o.rank - 1].item<double>(), 0.0);
  fit.stats.eigenvalues = theta.narrow(0, 0, o.rank).clamp_min(0);
  if (o.mean_tail && o.rank < dim)
    fit.stats.tail = std::max(fit.trace - fit.stats.eigenvalues.sum().item<double>(), 0.0) / static_cast<double>(dim - o.rank);
  covariance.describe(fit.stats);
  return fit;
}

}  // namespace headstart
