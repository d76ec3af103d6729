// Fitting a Gaussian against what the bare BLAS and LAPACK take for the same numbers, already float64 in memory, in the same run.

#include <ATen/CPUGeneratorImpl.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <vector>

#include "headstart/data/prefetch.h"
#include "headstart/moments/moments.h"
#include "headstart/moments/randomised.h"
#include "headstart/moments/tensor_stream.h"

namespace {

using torch::Tensor;

constexpr const char* kData = "fashion-mnist";

Tensor normal(at::IntArrayRef shape, torch::ScalarType dtype) {
  return torch::randn(shape, at::detail::createCPUGenerator(1), torch::kFloat32).to(dtype);
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Runs `work` and `bare` by turns, so that both see the same machine; the counter is the ratio of their best times.
void against(benchmark::State& state, const std::function<void()>& work, const std::function<void()>& bare) {
  double mine = std::numeric_limits<double>::infinity(), theirs = mine;
  for (auto _ : state) {
    const double seconds = seconds_of(work);
    state.SetIterationTime(seconds);
    mine = std::min(mine, seconds);
    theirs = std::min(theirs, seconds_of(bare));
  }
  state.counters["bare_ms"] = 1e3 * theirs;
  state.counters["ratio"] = mine / theirs;
}

/// All of `headstart fit fashion-mnist` but the file: inflate, decode, hash, accumulate, decompose. Bare: a matrix product of the data with
/// themselves (60,000 x 784) and an eigendecomposition.
void fit_fashion_mnist(benchmark::State& state) {
  const auto stream = headstart::open_images(kData);
  const Tensor values = torch::empty({stream->count(), stream->shape().dim()}, torch::kFloat32);
  stream->read(std::span(values.data_ptr<float>(), static_cast<std::size_t>(values.numel())));
  const Tensor x = values.to(torch::kFloat64) - values.mean(0, false, torch::kFloat64);
  against(
      state, [] { benchmark::DoNotOptimize(headstart::fit_gaussian(*headstart::prefetched(headstart::open_images(kData)))); },
      [&] { benchmark::DoNotOptimize(torch::linalg_eigh(x.t().mm(x))); });
}
BENCHMARK(fit_fashion_mnist)->UseManualTime()->Iterations(5)->Unit(benchmark::kMillisecond);

/// The randomised fit of points in D = 12,288 (64 x 64 x 3) dimensions whose eigenvalues fall like 1/k. Bare: the float32 products of as
/// many passes, X^T (X Q) in one piece.
void fit_randomised(benchmark::State& state) {
  const std::int64_t count = 4096, dim = 12288, rank = 128;
  const Tensor scales = torch::arange(1, count + 1, torch::kFloat32).rsqrt();
  const Tensor x = (normal({count, count}, torch::kFloat32) * scales).mm(normal({count, dim}, torch::kFloat32));
  headstart::RandomisedFit fit;
  const Tensor q = normal({dim, 2 * rank}, torch::kFloat32);
  against(
      state,
      [&] {
        headstart::TensorStream stream(x);
        fit = headstart::fit_gaussian_randomised(stream, {.rank = rank});
      },
      [&] {
        for (std::int64_t pass = 0; pass < fit.passes; ++pass) benchmark::DoNotOptimize(x.t().mm(x.mm(q)));
      });
  state.counters["passes"] = static_cast<double>(fit.passes);
  state.counters["residual"] = fit.residual;
  state.counters["energy_error"] = fit.energy_error;
}
BENCHMARK(fit_randomised)->UseManualTime()->Iterations(2)->Unit(benchmark::kMillisecond);

}  // namespace
