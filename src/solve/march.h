#pragma once
// What all solvers share: down the grid with the state in float64.

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <vector>

#include "headstart/denoise/denoiser.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/solve/sigmas.h"
#include "headstart/solve/solver.h"

namespace headstart {

/// Runs `state = step(state, i)` from sigmas[i] to sigmas[i + 1] for every i.
template <class Step>
torch::Tensor march(const char* name, const Denoiser& denoiser, const torch::Tensor& x, const std::vector<double>& sigmas,
                    const SolveOptions& options, Step step) {
  require_points(name, x, denoiser.dim());
  require_sigmas(name, sigmas);
  torch::Tensor state = x.to(torch::kFloat64);
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    state = step(state, i);
    if (options.on_step) options.on_step(i, state);
  }
  return state;
}

/// dx/dsigma of the probability flow.
inline torch::Tensor slope(const Denoiser& denoiser, const torch::Tensor& x, double sigma) {
  return (x - denoiser.denoise(x, sigma)) / sigma;
}

/// The order asked for, or the solver's own. @throws InvalidArgument
inline std::size_t order_of(const char* name, const SolveOptions& options, std::int64_t most, std::int64_t usual) {
  if (options.order < 0 || options.order > most)
    throw InvalidArgument(fmt::format("[{}] expected an order from 1 to {}, got {}", name, most, options.order));
  return static_cast<std::size_t>(options.order == 0 ? usual : options.order);
}

/// The order of step i: as many evaluations as there are by then, and fewer towards the end where that is wanted.
inline std::size_t order_at(std::size_t i, std::size_t order, const std::vector<double>& sigmas, const SolveOptions& options) {
  order = std::min(order, i + 1);
  return options.lower_order_final ? std::min(order, sigmas.size() - 1 - i) : order;
}

/// @throws InvalidArgument where there is none
inline torch::Tensor next_noise(const char* name, const SolveOptions& options) {
  if (!options.noise) throw InvalidArgument(fmt::format("[{}] expected options.noise, which a stochastic solver needs", name));
  return options.noise();
}

/// Values at the last few levels, the newest first.
class History {
 public:
  explicit History(std::size_t size) : size_(size) {}
  void push(double level, torch::Tensor value) {
    entries_.push_front({level, std::move(value)});
    if (entries_.size() > size_) entries_.pop_back();
  }
  double level(std::size_t i) const { return entries_[i].level; }
  const torch::Tensor& value(std::size_t i) const { return entries_[i].value; }

 private:
  struct Entry {
    double level;
    torch::Tensor value;
  };
  std::size_t size_;
  std::deque<Entry> entries_;
};

/// The exact solution of dx/du = D - x over h for a constant D; u = -ln sigma.
inline torch::Tensor relaxed(const torch::Tensor& x, const torch::Tensor& denoised, double h) {
  return std::exp(-h) * x - std::expm1(-h) * denoised;
}

/// How far the step has gone, as a part of it, at the levels of the last `count` values: 0 at its start, negative before.
inline std::vector<double> places(const History& past, std::size_t count, const SigmaStep& step) {
  std::vector<double> t;
  for (std::size_t j = 0; j < count; ++j) t.push_back(std::log(step.from / past.level(j)) / std::log(step.from / step.to));
  return t;
}

/// The line through the last two values in the middle of the next step, as DPM-Solver++(2M) has it.
inline torch::Tensor extrapolated(const History& past, const SigmaStep& step) {
  return past.value(0) + 0.5 / places(past, 2, step)[1] * (past.value(1) - past.value(0));
}

/// The coefficients, constant first, of the polynomial in t that is 1 at nodes[j] and 0 at the other nodes.
std::vector<double> lagrange(const std::vector<double>& nodes, std::size_t j);

/// The coefficients, constant first, of the polynomial in t through the last nodes.size() values.
std::vector<torch::Tensor> through(const std::vector<double>& nodes, const History& past);

}  // namespace headstart
