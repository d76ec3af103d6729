#pragma once
// What the statistics files of Gaussians and of mixtures have in common.

#include <fmt/format.h>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "headstart/data/image_shape.h"
#include "headstart/data/safetensors.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart {

/// A statistics file whose parts are checked as they are read. Everything throws DataError naming the file.
class StatsFile {
 public:
  /// @throws DataError where the file is missing, malformed, or holds no statistics
  explicit StatsFile(const std::string& path);

  bool is_mixture() const { return file_.contains("weights"); }
  bool has_metadata(const std::string& key) const { return file_.metadata().contains(key); }
  const std::string& metadata(const std::string& key) const { return file_.metadata(key); }

  /// A tensor as float64. @throws DataError on another number of dimensions or a value that is not finite
  torch::Tensor read(const std::string& name, std::int64_t dimensions) const;

  /// Checks basis [.., D, R], eigenvalues [.., R] and tail [..] of one or several Gaussians.
  void require_spectrum(const torch::Tensor& basis, const torch::Tensor& eigenvalues, const torch::Tensor& tail) const;

  /// Sets shape, count, range and data_sha256, and checks that the shape has as many values as the mean.
  template <class Stats>
  void describe(Stats& stats) const {
    std::tie(stats.shape, stats.count) = shape_and_count(stats.dim());
    std::tie(stats.range_low, stats.range_high) = range();
    if (!has_metadata("network_sha256")) stats.data_sha256 = metadata("data_sha256");
  }

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  std::pair<ImageShape, std::int64_t> shape_and_count(std::int64_t dim) const;
  std::pair<double, double> range() const;
  SafetensorsFile file_;
};

/// The Gaussian in a file that is no mixture. @throws DataError where it is one, or inconsistent
GaussianStats read_gaussian(const StatsFile& file);

/// The metadata that every statistics file has.
template <class Stats>
std::map<std::string, std::string> stats_metadata(const Stats& stats) {
  return {{"format", "headstart-stats"},
          {"version", "1"},
          {"shape", to_string(stats.shape)},
          {"count", std::to_string(stats.count)},
          {"range", fmt::format("{},{}", stats.range_low, stats.range_high)},
          {"data_sha256", stats.data_sha256}};
}

}  // namespace headstart
