#include "point_set.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "headstart/core/parallel.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/moments/randomised.h"
#include "headstart/moments/tensor_stream.h"
#include "point_kernel.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr std::int64_t kSample = 16384;  // points that the centre and the directions are taken from: any choice of them is right
constexpr std::int64_t kLeading = 32;    // directions of a guess
constexpr std::int64_t kPiece = 512;     // points in a piece of work

void require_data(const Tensor& data) {
  if (!data.defined() || data.dim() != 2 || data.numel() == 0 || data.scalar_type() != torch::kFloat32 || !data.device().is_cpu())
    throw InvalidArgument(fmt::format(
        "[EmpiricalDenoiser] expected data of shape [N, D], float32, got {}",
        data.defined() ? fmt::format("[{}] {}", fmt::join(data.sizes().vec(), ", "), c10::toString(data.scalar_type())) : "undefined"));
}

/// piece(begin, size) for all of [0, n), several at once, each on one thread.
template <class Piece>
void for_pieces(std::int64_t n, std::int64_t size, Piece piece) {
  parallel_shards((n + size - 1) / size, [&](std::int64_t i) {
    const torch::NoGradGuard no_grad;  // thread-local
    piece(i * size, std::min(size, n - i * size));
  });
}

}  // namespace

PointSet::PointSet(Tensor data, std::int64_t rank) : data_(std::move(data)) {
  require_data(data_);
  const torch::NoGradGuard no_grad;
  data_ = data_.detach().contiguous();
  find_directions(std::min(rank, dim() / 2));
  fill_tables();
}

void PointSet::find_directions(std::int64_t rank) {
  const Tensor sample = data_.slice(0, 0, count(), (count() + kSample - 1) / kSample);
  centre_ = on_one_thread([&] { return sample.mean(0, /*keepdim=*/false, torch::kFloat64).to(torch::kFloat32); });
  if (!centre_.isfinite().all().item<bool>()) throw NumericalError("[EmpiricalDenoiser] expected finite data, got a value that is not");
  rank = std::min(rank, sample.size(0) - 1);
  if (rank < 1) return;
  TensorStream stream(sample);
  const std::int64_t columns = std::min({rank + 16, dim(), sample.size(0) - 1});
  basis_ = fit_gaussian_randomised(stream, {.rank = rank, .columns = columns, .max_passes = 2}).stats.basis;
}

std::pair<Tensor, Tensor> PointSet::features_of(const Tensor& z, const Tensor& square, bool of_data) const {
  const Tensor p = z.mm(basis_), squares = p.square(), one = torch::ones_like(square);
  const auto part = [&](std::int64_t size) { return squares.narrow(1, 0, size).sum(1); };
  // In float64: the little that the directions leave out is a difference of large numbers.
  const auto rest = [&](std::int64_t size) { return (square - part(size)).clamp_min(0).sqrt().unsqueeze(1); };
  const std::int64_t half = half_rank();
  const Tensor guess = of_data ? part(std::min(kLeading, half)) / -2 : one, bound = of_data ? square / -2 : one;
  return {torch::cat({guess.unsqueeze(1), p.narrow(1, 0, half), rest(half), bound.unsqueeze(1)}, 1),
          torch::cat({p.narrow(1, half, rank() - half), rest(rank())}, 1)};
}

void PointSet::fill_tables() {
  half_squares_ = torch::empty({count()}, torch::kFloat32);
  if (basis_.defined()) {
    features_ = torch::empty({count(), half_rank() + 3}, torch::kFloat32);
    details_ = torch::empty({count(), rank() - half_rank() + 1}, torch::kFloat32);
  }
  for_pieces(count(), kPiece, [&](std::int64_t begin, std::int64_t n) {
    const Tensor tile = torch::empty({n, dim()}, torch::kFloat32);
    read(begin, tile);
    const Tensor z = tile.to(torch::kFloat64), square = z.square().sum(1);
    half_squares_.narrow(0, begin, n).copy_(square / 2);
    if (!has_features()) return;
    const auto [features, details] = features_of(z, square, /*of_data=*/true);
    features_.narrow(0, begin, n).copy_(features);
    details_.narrow(0, begin, n).copy_(details);
  });
  const double largest = half_squares_.max().item<double>();  // a NaN is the largest of all
  if (!std::isfinite(largest)) throw NumericalError("[EmpiricalDenoiser] expected finite data, got a value that is not");
  largest_norm_ = std::sqrt(2 * largest);
}

Queries PointSet::queries(const Tensor& x, const Tensor& sigma) const {
  const std::int64_t rows = x.size(0);
  Queries q;
  q.x = x.to(torch::kFloat32).contiguous();
  q.y = torch::empty_like(q.x);
  if (has_features()) {
    q.features = torch::empty({rows, features_.size(1)}, torch::kFloat32);
    q.details = torch::empty({rows, details_.size(1)}, torch::kFloat32);
  }
  const Tensor squares = torch::empty({rows}, torch::kFloat64);
  for_pieces(rows, kMicroBatch, [&](std::int64_t begin, std::int64_t n) {
    const Tensor y = q.x.narrow(0, begin, n).to(torch::kFloat64) - centre_, square = squares.narrow(0, begin, n);
    q.y.narrow(0, begin, n).copy_(y);
    square.copy_(y.square().sum(1));
    if (!has_features()) return;
    const auto [features, details] = features_of(y, square, /*of_data=*/false);
    q.features.narrow(0, begin, n).copy_(features);
    q.details.narrow(0, begin, n).copy_(details);
  });
  if (!squares.isfinite().all().item<bool>()) throw NumericalError("[EmpiricalDenoiser] expected finite x, got a value that is not");
  // The square of a very small sigma must not vanish.
  const Tensor variances = sigma.to(torch::kFloat64).flatten().square().clamp_min(std::numeric_limits<double>::min()).contiguous();
  q.square.assign(squares.data_ptr<double>(), squares.data_ptr<double>() + rows);
  q.variance.assign(variances.data_ptr<double>(), variances.data_ptr<double>() + rows);
  for (std::int64_t r = 0; r < rows; ++r) q.best.push_back(score(q, r, 0));
  return q;
}

void PointSet::read(std::int64_t begin, const Tensor& tile) const {
  Tensor out = tile;
  at::sub_out(out, data_.narrow(0, begin, tile.size(0)), centre_);
}

double PointSet::score(const Queries& q, std::int64_t row, std::int64_t i) const {
  const float *x = q.x.data_ptr<float>() + row * dim(), *point = data_.data_ptr<float>() + i * dim();
  return (q.square[static_cast<std::size_t>(row)] - kernel::squared_distance(x, point, dim())) / 2;
}

void PointSet::add_weighted(std::int64_t i, float weight, float* out) const {
  kernel::add_weighted(data_.data_ptr<float>() + i * dim(), centre_.data_ptr<float>(), weight, dim(), out);
}

void PointSet::bounds(const Tensor& features, std::int64_t begin, std::int64_t step, const Tensor& out) const {
  const std::int64_t columns = half_rank() + 2, end = begin + (out.size(1) - 1) * step + 1;
  Tensor result = out;
  at::mm_out(result, features.narrow(1, 1, columns), features_.slice(0, begin, end, step).narrow(1, 1, columns).t());
}

void PointSet::guesses(const Tensor& features, std::int64_t begin, const Tensor& out) const {
  const std::int64_t columns = std::min(kLeading, half_rank()) + 1;
  Tensor result = out;
  at::mm_out(result, features.narrow(1, 0, columns), features_.narrow(0, begin, out.size(1)).narrow(1, 0, columns).t());
}

double PointSet::tighter(const Queries& q, std::int64_t row, std::int64_t i, double bound) const {
  const std::int64_t columns = features_.size(1), rest = columns - 2, more = details_.size(1);
  const float *query = q.features.data_ptr<float>() + row * columns, *point = features_.data_ptr<float>() + i * columns;
  // The product of the norms |Qy| |Qz| gives way to what it is a bound of.
  return bound - query[rest] * point[rest] +
         kernel::dot(q.details.data_ptr<float>() + row * more, details_.data_ptr<float>() + i * more, more);
}

}  // namespace headstart
