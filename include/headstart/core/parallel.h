#pragma once
// Threads: one place that sets how many there are, and one loop whose results cannot depend on it.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace headstart {

/// Threads that libtorch and parallel_shards use. @throws InvalidArgument unless n >= 1
void set_threads(int n);
int threads();

/// Calls shard(i) for i in [0, n), several at once, each on a single thread including everything libtorch does inside it.
/// So each result is the same whatever the number of threads. The first exception is rethrown after all calls have ended.
void parallel_shards(std::int64_t n, const std::function<void(std::int64_t)>& shard);

/// call(), on one thread: libtorch's sums to one number and LAPACK's factorisations depend on how many there are in their last bits.
template <class Call>
auto on_one_thread(Call call) {
  std::optional<decltype(call())> result;
  parallel_shards(1, [&](std::int64_t) { result.emplace(call()); });
  return std::move(*result);
}

}  // namespace headstart
