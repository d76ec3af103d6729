#include "headstart/core/parallel.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <exception>
#include <string>

#include "headstart/error.h"

namespace headstart {

void set_threads(int n) {
  if (n < 1) throw InvalidArgument("[set_threads] expected at least 1 thread, got " + std::to_string(n));
  at::set_num_threads(n);
}

int threads() { return at::get_num_threads(); }

void parallel_shards(std::int64_t n, const std::function<void(std::int64_t)>& shard) {
  std::exception_ptr error;
#pragma omp parallel num_threads(threads())
  {
    // libtorch sets a thread's number of threads when it first works on it. On a new worker that must happen before our setting, or undo
    // it.
    at::get_num_threads();
    // oneDNN plans for omp_get_max_threads() threads even inside a parallel region, and its backward convolutions then wait forever for
    // the ones that never come. The setting belongs to this region and ends with it.
    omp_set_num_threads(1);
#pragma omp for schedule(dynamic, 1)
    for (std::int64_t i = 0; i < n; ++i) {
      try {
        shard(i);
      } catch (...) {
#pragma omp critical
        if (!error) error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace headstart
