// Mixtures against what a user of libtorch would write, and against the machine's own matrix product, in one run.

#include <ATen/CPUGeneratorImpl.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <span>

#include "headstart/data/image_stream.h"
#include "headstart/denoise/mixture.h"
#include "headstart/moments/fit_mixture.h"
#include "timing.h"

namespace {

using headstart::MixtureStats;
using torch::Tensor;

Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
  return torch::randn(shape, at::detail::createCPUGenerator(seed), torch::kFloat32);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double seconds_of(const std::function<void()>& work) {
  const double start = now();
  work();
  return now() - start;
}

MixtureStats mixture(std::int64_t components, std::int64_t dim, std::int64_t rank) {
  MixtureStats s;
  s.weights = torch::full({components}, 1.0 / static_cast<double>(components), torch::kFloat64);
  s.mean = 0.3 * normal({components, dim}, 1).to(torch::kFloat64);
  s.basis = std::get<0>(torch::linalg_qr(normal({components, dim, rank}, 2).to(torch::kFloat64)));
  s.eigenvalues = (10 * torch::arange(1, rank + 1, torch::kFloat64).pow(-1)).repeat({components, 1});
  s.tail = torch::full({components}, 0.02, torch::kFloat64);
  s.shape = {1, 1, dim};
  return s;
}

/// The posterior mean as one writes it with broadcasting and einsum: arrays of [B, K, D].
struct Einsum {
  Tensor log_weights, mean, basis, eigenvalues, tail;

  explicit Einsum(const MixtureStats& s)
      : log_weights(s.weights.log().to(torch::kFloat32)),
        mean(s.mean.to(torch::kFloat32)),
        basis(s.basis.to(torch::kFloat32)),
        eigenvalues(s.eigenvalues.to(torch::kFloat32)),
        tail(s.tail.to(torch::kFloat32)) {}

  Tensor denoise(const Tensor& x, double sigma) const {
    const double variance = sigma * sigma, rest = static_cast<double>(mean.size(1) - eigenvalues.size(1));
    const Tensor y = x.unsqueeze(1) - mean;
    const Tensor coordinates = torch::einsum("bkd,kdr->bkr", {y, basis});
    const Tensor modes = eigenvalues + variance, others = tail + variance;
    const Tensor quadratic = y.square().sum(2) / others - ((1 / others.unsqueeze(1) - 1 / modes) * coordinates.square()).sum(2);
    const Tensor weights = (log_weights - 0.5 * (modes.log().sum(1) + rest * others.log() + quadratic)).softmax(1);
    const Tensor tail_gain = (tail / others).unsqueeze(1), gain = eigenvalues / modes - tail_gain;
    const Tensor denoised = mean + tail_gain * y + torch::einsum("bkr,kdr->bkd", {gain * coordinates, basis});
    return (weights.unsqueeze(2) * denoised).sum(1);
  }
};

/// One denoiser call with float32 points of the mixture at a noise level. Counters: how many times longer the einsum formulation takes, and
/// the matrix products x U and (x U) U^T alone (the floor where every component matters); memory of both; both errors against float64.
void mixture_denoise(benchmark::State& state) {
  const std::int64_t components = 100, rank = 64, dim = 3072, batch = 256;
  const double sigma = static_cast<double>(state.range(0)) / 10;
  const MixtureStats s = mixture(components, dim, rank);
  const headstart::MixtureDenoiser denoiser(s);
  const Einsum plain(s);
  const Tensor owner = torch::arange(batch) % components;
  const Tensor x0 = (s.mean.index_select(0, owner) + 0.2 * normal({batch, dim}, 3)).to(torch::kFloat32);
  const Tensor x = x0 + sigma * normal({batch, dim}, 4),
               stack = s.basis.to(torch::kFloat32).transpose(1, 2).reshape({-1, dim}).contiguous();

  const Tensor exact = denoiser.denoise(x.to(torch::kFloat64), sigma), fast = denoiser.denoise(x, sigma);
  const auto error = [&](const Tensor& d) { return ((d - exact).norm() / exact.norm()).item<double>(); };
  state.counters["error"] = error(fast);
  state.counters["einsum_error"] = error(plain.denoise(x, sigma));
  const double mine = peak_bytes([&] { benchmark::DoNotOptimize(denoiser.denoise(x, sigma)); });
  const double theirs = peak_bytes([&] { benchmark::DoNotOptimize(plain.denoise(x, sigma)); });
  state.counters["MB"] = mine * 1e-6;
  state.counters["einsum_MB"] = theirs * 1e-6;
  state.counters["memory_ratio"] = theirs / mine;

  Timings own, einsum, products;
  for (auto _ : state) {  // by turns, so that all see the same machine
    state.SetIterationTime(own.add([&] { return denoiser.denoise(x, sigma); }));
    einsum.add([&] { return plain.denoise(x, sigma); });
    products.add([&] { return x.mm(stack.t()).mm(stack); });
  }
  state.counters["einsum_ms"] = 1e3 * einsum.median();
  state.counters["faster"] = einsum.median() / own.median();
  state.counters["of_products"] = own.median() / products.median();
}
BENCHMARK(mixture_denoise)->ArgName("10sigma")->Arg(2)->Arg(50)->Arg(800)->UseManualTime()->Iterations(5)->Unit(benchmark::kMillisecond);

/// One iteration of expectation maximisation on Fashion-MNIST in memory (60,000 x 784, K = 50, R = 32). Counter: the ratio to the matrix
/// product of the data with all bases, which the responsibilities need.
void em_iteration(benchmark::State& state) {
  const auto stream = headstart::open_images("fashion-mnist");
  const std::int64_t components = 50, rank = 32;
  double product = std::numeric_limits<double>::infinity(), best = product;
  const Tensor block = normal({8192, 784}, 5), bases = normal({784, components * rank}, 6);
  for (auto _ : state) {
    std::int64_t last = 0;
    std::vector<double> starts;  // of each pass
    stream->rewind();
    const headstart::MixtureFit fit = headstart::fit_mixture(*stream, {.components = components,
                                                                       .rank = rank,
                                                                       .max_iterations = 4,
                                                                       .tolerance = 0,
                                                                       .memory = 1e9,
                                                                       .on_progress = [&](std::int64_t pass, std::int64_t) {
                                                                         if (pass != last) starts.push_back(now());
                                                                         last = pass;
                                                                       }});
    for (std::size_t i = starts.size() - 4; i < starts.size(); ++i) best = std::min(best, starts[i] - starts[i - 1]);
    state.SetIterationTime(best);
    state.counters["log_likelihood"] = fit.log_likelihood;
    for (int i = 0; i < 3; ++i) product = std::min(product, seconds_of([&] { benchmark::DoNotOptimize(block.mm(bases)); }));
  }
  product *= 60000.0 / 8192;
  state.counters["product_ms"] = 1e3 * product;
  state.counters["of_product"] = best / product;
}
BENCHMARK(em_iteration)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

/// The memory of the same fit from the stream, which must not grow with the number of images.
void em_streamed_memory(benchmark::State& state) {
  double bytes = 0;
  for (auto _ : state) {
    const auto stream = headstart::open_images("fashion-mnist");
    bytes =
        peak_bytes([&] { headstart::fit_mixture(*stream, {.components = 50, .rank = 32, .max_iterations = 1, .limit = state.range(0)}); });
  }
  state.counters["MB"] = bytes * 1e-6;
}
BENCHMARK(em_streamed_memory)->ArgName("images")->Arg(15000)->Arg(60000)->UseRealTime()->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
