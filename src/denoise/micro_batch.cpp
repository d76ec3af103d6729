#include "headstart/denoise/micro_batch.h"

#include <algorithm>
#include <vector>

#include "headstart/core/parallel.h"

namespace headstart {
namespace {

using torch::Tensor;

/// The rows of t from `begin` on, as many as a micro-batch has: past the end its last row again.
Tensor padded(const Tensor& t, std::int64_t begin) {
  const std::int64_t count = std::min(kMicroBatch, t.size(0) - begin);
  const Tensor piece = t.narrow(0, begin, count);
  if (count == kMicroBatch) return piece.contiguous();
  return torch::cat({piece, piece.narrow(0, count - 1, 1).expand({kMicroBatch - count, t.size(1)})});
}

/// fn(begin) for each piece, all but what is padding.
Tensor piece_by_piece(std::int64_t rows, const std::function<Tensor(std::int64_t)>& fn) {
  const std::int64_t pieces = (rows + kMicroBatch - 1) / kMicroBatch;
  std::vector<Tensor> results(pieces);
  parallel_shards(pieces, [&](std::int64_t i) {
    const torch::NoGradGuard no_grad;  // thread-local, so it is set here
    const std::int64_t begin = i * kMicroBatch;
    results[i] = fn(begin).narrow(0, 0, std::min(kMicroBatch, rows - begin));
  });
  return torch::cat(results);
}

}  // namespace

Tensor in_micro_batches(const Tensor& x, const Tensor& sigma, const std::function<Tensor(const Tensor&, const Tensor&)>& fn) {
  return piece_by_piece(x.size(0), [&](std::int64_t begin) { return fn(padded(x, begin), padded(sigma, begin)); });
}

Tensor in_micro_batches(const Tensor& x, const std::function<Tensor(const Tensor&)>& fn) {
  return piece_by_piece(x.size(0), [&](std::int64_t begin) { return fn(padded(x, begin)); });
}

}  // namespace headstart
