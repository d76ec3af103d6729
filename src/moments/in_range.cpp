#include "headstart/moments/in_range.h"

#include <fmt/format.h>

#include <utility>

#include "headstart/error.h"

namespace headstart {
namespace {

template <class Stats>
Stats mapped(const Stats& stats, double low, double high) {
  if (!(low < high)) throw InvalidArgument(fmt::format("[in_range] expected low < high, got {} and {}", low, high));
  if (low == stats.range_low && high == stats.range_high) return stats;  // to the bit
  const double slope = (high - low) / (stats.range_high - stats.range_low);
  Stats result = stats;
  result.mean = low + slope * (stats.mean - stats.range_low);
  result.eigenvalues = slope * slope * stats.eigenvalues;
  result.tail = stats.tail * (slope * slope);
  result.range_low = low;
  result.range_high = high;
  return result;
}

}  // namespace

GaussianStats in_range(const GaussianStats& stats, double low, double high) { return mapped(stats, low, high); }

MixtureStats in_range(const MixtureStats& stats, double low, double high) { return mapped(stats, low, high); }

bool is_picture_range(double low, double high) {
  for (const auto& convention : {std::pair(-1.0, 1.0), {0.0, 1.0}, {-0.5, 0.5}})
    if (std::pair(low, high) == convention) return true;
  return false;
}

}  // namespace headstart
