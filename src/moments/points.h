#pragma once
// Data that are read several times, whole or in part: held in memory where they fit, else streamed anew in each pass.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "batches.h"
#include "headstart/data/image_stream.h"

namespace headstart {

class Points {
 public:
  /// Reads the stream from its start (its first `limit` images, or all for 0) once, for its mean, variance and description; keeps it where
  /// it takes no more than `memory` bytes as float32.
  /// @param on_pass  (pass from 1, points of it so far), after each batch; may throw to stop
  /// @throws InvalidArgument where there is no point; what the stream throws
  Points(ImageStream& stream, std::int64_t limit, double memory, std::function<void(std::int64_t, std::int64_t)> on_pass = {});

  /// Those whose number in the stream fulfils `keep`, for the same data.
  Points part(const std::function<bool(std::int64_t)>& keep) const;

  std::int64_t count() const { return count_; }
  std::int64_t dim() const { return data_->stream.shape().dim(); }
  /// Passes over the data so far, whichever part was wanted.
  std::int64_t passes() const { return data_->passes; }
  bool are_resident() const { return data_->values.defined(); }
  const ImageStream& stream() const { return data_->stream; }

  /// [D] float64 and the mean of the D variances, of all points of the stream.
  const torch::Tensor& mean() const { return data_->mean; }
  double mean_variance() const { return data_->mean_variance; }

  /// use(x [at most rows, D] float32) for all points of this part in their order.
  /// @throws NumericalError where the stream has another number of images than before
  void for_each(std::int64_t rows, const std::function<void(const torch::Tensor&)>& use) const;

  /// One point from each of `wanted` equal stretches, [wanted, D] float32; all of them where there are no more. One pass.
  torch::Tensor sample(std::int64_t wanted, std::uint64_t seed) const;

  template <class Stats>
  void describe(Stats& stats) const {
    data_->provenance.describe(stats);
  }

 private:
  struct Data {
    ImageStream& stream;
    std::int64_t total = 0, passes = 0;
    Provenance provenance;
    std::function<void(std::int64_t, std::int64_t)> on_pass;
    torch::Tensor values{}, mean{};  // [total, D] float32 or undefined; [D]
    double mean_variance = 0;
  };
  void for_each_of_all(std::int64_t rows, const std::function<void(const torch::Tensor&)>& use) const;

  std::shared_ptr<Data> data_;
  std::function<bool(std::int64_t)> keep_{};
  std::int64_t count_ = 0;
};

}  // namespace headstart
