// Denoising and the flow against the rate of the machine's own matrix multiplication, in one run.

#include <ATen/CPUGeneratorImpl.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include "headstart/denoise/gaussian.h"
#include "headstart/flow/gaussian_flow.h"

namespace {

using headstart::GaussianStats;
using torch::Tensor;

Tensor normal(at::IntArrayRef shape, torch::ScalarType dtype) {
  return torch::randn(shape, at::detail::createCPUGenerator(1), torch::kFloat64).to(dtype);
}

GaussianStats gaussian(std::int64_t dim, std::int64_t rank) {
  const Tensor basis = std::get<0>(torch::linalg_qr(normal({dim, rank}, torch::kFloat64)));
  GaussianStats s;
  s.mean = torch::zeros({dim}, torch::kFloat64);
  s.basis = basis;
  s.eigenvalues = torch::arange(1, rank + 1, torch::kFloat64).pow(-1.5);
  s.tail = rank < dim ? 1e-4 : 0;
  s.shape = {1, 1, dim};
  return s;
}

void rate(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(flops * static_cast<double>(state.iterations()) * 1e-9, benchmark::Counter::kIsRate);
}

void matrix_product(benchmark::State& state, torch::ScalarType dtype) {
  const std::int64_t n = 2048;
  const Tensor a = normal({n, n}, dtype), b = normal({n, n}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(a.mm(b));
  rate(state, 2.0 * static_cast<double>(n * n * n));
}
BENCHMARK_CAPTURE(matrix_product, sgemm, torch::kFloat32)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(matrix_product, dgemm, torch::kFloat64)->UseRealTime()->Unit(benchmark::kMillisecond);

constexpr std::int64_t kDim = 784;

void denoise(benchmark::State& state, torch::ScalarType dtype) {
  const std::int64_t batch = state.range(0), rank = state.range(1);
  const headstart::GaussianDenoiser denoiser(gaussian(kDim, rank));
  const Tensor x = normal({batch, kDim}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(denoiser.denoise(x, 1.0));
  rate(state, 4.0 * static_cast<double>(batch * kDim * rank));
}
BENCHMARK_CAPTURE(denoise, float32, torch::kFloat32)
    ->Args({256, 784})
    ->Args({256, 128})
    ->Args({1, 784})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(denoise, float64, torch::kFloat64)->Args({256, 784})->UseRealTime()->Unit(benchmark::kMillisecond);

void flow(benchmark::State& state) {
  const std::int64_t batch = state.range(0), rank = state.range(1);
  const GaussianStats s = gaussian(kDim, rank);
  const Tensor x = 80 * normal({batch, kDim}, torch::kFloat64);
  for (auto _ : state) benchmark::DoNotOptimize(headstart::gaussian_flow(s, x, {.from = 80, .to = 20}));
  rate(state, 4.0 * static_cast<double>(batch * kDim * rank));
  // Accuracy beside the time: there and back again.
  const Tensor back = headstart::gaussian_flow(s, headstart::gaussian_flow(s, x, {.from = 80, .to = 20}), {.from = 20, .to = 80});
  state.counters["round_trip_error"] = (back - x).abs().max().item<double>();
}
BENCHMARK(flow)->Args({256, 784})->Args({256, 128})->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
