#pragma once
// Threads: one place that sets how many there are, and one loop whose results cannot depend on it.

#include <cstdint>
#include <functional>

namespace headstart {

/// Threads that libtorch and parallel_shards use. @throws InvalidArgument unless n >= 1
void set_threads(int n);
int threads();

/// Calls shard(i) for i in [0, n), several at once, each on a single thread including everything libtorch does inside it.
/// So each result is the same whatever the number of threads. The first exception is rethrown after all calls have ended.
void parallel_shards(std::int64_t n, const std::function<void(std::int64_t)>& shard);

}  // namespace headstart
