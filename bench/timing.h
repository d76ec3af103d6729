#pragma once
// What the benchmarks time with and weigh: several things by turns in one run, memory as the system sees it.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

/// Seconds of one call each.
class Timings {
 public:
  template <class Call>
  double add(Call&& call) {
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(call());
    seconds_.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return seconds_.back();
  }
  double median() const {
    std::vector<double> sorted = seconds_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }

 private:
  std::vector<double> seconds_;
};

/// Bytes of a line of /proc/self/status.
inline double process_memory(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return 1024 * std::stod(line.substr(key.size() + 1));
  return std::nan("");
}

/// Bytes that the work needs at its peak beyond what there is before it.
inline double peak_bytes(const std::function<void()>& work) {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak starts from here
  const double before = process_memory("VmRSS");
  work();
  return process_memory("VmHWM") - before;
}
