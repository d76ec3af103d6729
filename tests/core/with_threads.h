#pragma once
// A number of threads for one scope.

#include "headstart/core/parallel.h"

namespace headstart {

class WithThreads {
 public:
  explicit WithThreads(int n) : before_(threads()) { set_threads(n); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;
  ~WithThreads() { set_threads(before_); }

 private:
  int before_;
};

}  // namespace headstart
