// Denoising and the flow of a Gaussian against the machine's own matrix product, and against reading the basis once, in one run.

#include <ATen/CPUGeneratorImpl.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include "headstart/denoise/gaussian.h"
#include "headstart/flow/gaussian_flow.h"
#include "timing.h"

namespace {

using headstart::GaussianStats;
using torch::Tensor;

constexpr std::int64_t kDim = 3072;

Tensor normal(at::IntArrayRef shape, torch::ScalarType dtype) {
  return torch::randn(shape, at::detail::createCPUGenerator(1), torch::kFloat64).to(dtype);
}

/// Variances that fall as k^-1.5, in a random basis. Made once for each rank.
const GaussianStats& gaussian(std::int64_t rank) {
  static GaussianStats s;
  if (s.mean.defined() && s.rank() == rank) return s;
  s.mean = torch::zeros({kDim}, torch::kFloat64);
  s.basis = std::get<0>(torch::linalg_qr(normal({kDim, rank}, torch::kFloat64)));
  s.eigenvalues = torch::arange(1, rank + 1, torch::kFloat64).pow(-1.5);
  s.tail = rank < kDim ? 1e-4 : 0;
  s.shape = {1, 1, kDim};
  return s;
}

/// The call, a square matrix product and a sum over the basis in turn, so that whatever else the machine does meets them alike.
/// Counters: the rate of 4 B D R flops as a share of the product's, and times as long as reading the basis once.
void against_the_machine(benchmark::State& state, const Tensor& basis, const std::function<Tensor()>& call) {
  const Tensor square = normal({2048, 2048}, basis.scalar_type());
  Timings own, product, reading;
  call();
  for (auto _ : state) {
    product.add([&] { return square.mm(square); });
    reading.add([&] { return basis.sum(); });
    state.SetIterationTime(own.add(call));
  }
  const double flops = 4.0 * static_cast<double>(state.range(0) * basis.numel());
  state.counters["of_gemm"] = flops / own.median() / (2 * std::pow(2048.0, 3) / product.median());
  state.counters["of_reading"] = own.median() / reading.median();
}

void denoise(benchmark::State& state, torch::ScalarType dtype) {
  const headstart::GaussianDenoiser denoiser(gaussian(state.range(1)));
  const Tensor x = normal({state.range(0), kDim}, dtype);
  const Tensor exact = denoiser.denoise(x.to(torch::kFloat64), 1.0);
  state.counters["error"] = ((denoiser.denoise(x, 1.0) - exact).norm() / exact.norm()).item<double>();
  against_the_machine(state, gaussian(state.range(1)).basis.to(dtype), [&] { return denoiser.denoise(x, 1.0); });
}

void flow(benchmark::State& state, torch::ScalarType dtype) {
  const GaussianStats s = gaussian(state.range(1)).to(dtype);
  const Tensor x = 80 * normal({state.range(0), kDim}, dtype);
  const auto there = [&](const Tensor& points) { return headstart::gaussian_flow(s, points, {.from = 80, .to = 20}); };
  const Tensor back = headstart::gaussian_flow(s, there(x), {.from = 20, .to = 80});
  state.counters["round_trip_error"] = ((back - x).norm() / x.norm()).item<double>();
  against_the_machine(state, s.basis, [&] { return there(x); });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"B", "R"})->UseManualTime()->Iterations(9)->Unit(benchmark::kMillisecond);
  for (const std::int64_t rank : {3072, 256})
    for (const std::int64_t batch : {1, 16, 64, 256, 1024, 4096}) bench->Args({batch, rank});
}
BENCHMARK_CAPTURE(denoise, float32, torch::kFloat32)->Apply(sizes);
BENCHMARK_CAPTURE(denoise, float64, torch::kFloat64)->Apply(sizes);
BENCHMARK_CAPTURE(flow, float32, torch::kFloat32)->Apply(sizes);
BENCHMARK_CAPTURE(flow, float64, torch::kFloat64)->Apply(sizes);

}  // namespace
