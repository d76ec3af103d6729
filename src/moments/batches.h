#pragma once
// What both ways of fitting share: reading in batches, and what the file says about the data.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

#include "headstart/data/image_stream.h"
#include "headstart/data/sha256.h"

namespace headstart {

/// Images that a fit reads: the first `limit`, or all for 0.
std::int64_t images_wanted(const ImageStream& stream, std::int64_t limit);

/// use(x [rows or fewer, D] float32) for at most `wanted` images from where the stream stands.
/// @return how many there were
std::int64_t for_each_batch(ImageStream& stream, std::int64_t wanted, std::int64_t rows,
                            const std::function<void(const torch::Tensor&)>& use);

/// Number, hash and range of the data, batch by batch.
class Provenance {
 public:
  explicit Provenance(const ImageStream& stream) : stream_(stream) {}
  /// @param x  [B, D] float32, contiguous
  void add(const torch::Tensor& x);
  /// Sets shape, count, range and data_sha256, of a Gaussian or a mixture.
  template <class Stats>
  void describe(Stats& stats) const {
    stats.shape = stream_.shape();
    stats.count = count_;
    std::tie(stats.range_low, stats.range_high) = range();
    stats.data_sha256 = hash_.hex();
  }

 private:
  std::pair<double, double> range() const;
  const ImageStream& stream_;
  Sha256 hash_;
  std::int64_t count_ = 0;
  double low_ = std::numeric_limits<double>::infinity(), high_ = -low_;
};

}  // namespace headstart
