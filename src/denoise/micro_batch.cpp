#include "headstart/denoise/micro_batch.h"

#include <algorithm>
#include <vector>

#include "headstart/core/parallel.h"

namespace headstart {

using torch::Tensor;

Tensor in_micro_batches(const Tensor& x, const Tensor& sigma, const std::function<Tensor(const Tensor&, const Tensor&)>& fn) {
  const std::int64_t rows = x.size(0), pieces = (rows + kMicroBatch - 1) / kMicroBatch;
  std::vector<Tensor> results(pieces);
  parallel_shards(pieces, [&](std::int64_t i) {
    const torch::NoGradGuard no_grad;  // thread-local, so it is set here
    const std::int64_t begin = i * kMicroBatch, count = std::min(kMicroBatch, rows - begin);
    const auto padded = [&](const Tensor& t) {
      const Tensor piece = t.narrow(0, begin, count);
      if (count == kMicroBatch) return piece.contiguous();
      return torch::cat({piece, piece.narrow(0, count - 1, 1).expand({kMicroBatch - count, t.size(1)})});
    };
    results[i] = fn(padded(x), padded(sigma)).narrow(0, 0, count);
  });
  return torch::cat(results);
}

}  // namespace headstart
