// The exact score of a training set against the machine's own matrix product and the plain libtorch formulation, in one run.

#include <ATen/CPUGeneratorImpl.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "headstart/data/image_stream.h"
#include "headstart/denoise/empirical.h"
#include "timing.h"

namespace {

using headstart::EmpiricalDenoiser;
using torch::Tensor;

constexpr std::int64_t kBatch = 256;

Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
  return torch::randn(shape, at::detail::createCPUGenerator(seed), torch::kFloat32);
}

/// Fashion-MNIST's 60,000 training images.
const Tensor& pictures() {
  static const Tensor data = [] {
    const auto stream = headstart::open_images("fashion-mnist");
    Tensor images = torch::empty({stream->count(), stream->shape().dim()}, torch::kFloat32);
    float* next = images.data_ptr<float>();
    float* const end = next + images.numel();
    while (next < end) next += stream->read({next, end}) * stream->shape().dim();
    return images;
  }();
  return data;
}

/// 50,000 points of 3 x 32 x 32 values whose variances fall as k^-1.5.
const Tensor& cloud() {
  static const Tensor data = [] {
    const std::int64_t dim = 3072;
    const Tensor basis = std::get<0>(torch::linalg_qr(normal({dim, dim}, 1)));
    Tensor points = torch::empty({50000, dim}, torch::kFloat32);
    for (std::int64_t i = 0; i < 50; ++i)  // piece by piece: the data are large
      points.narrow(0, i * 1000, 1000)
          .copy_((normal({1000, dim}, 2 + i) * torch::arange(1, dim + 1, torch::kFloat32).pow(-0.75)).mm(basis));
    return points;
  }();
  return data;
}

enum Data { fashion_mnist, synthetic };

const Tensor& data_of(Data data) { return data == synthetic ? cloud() : pictures(); }

/// One denoiser at a time: the data and tables of all would not fit everywhere.
const EmpiricalDenoiser& denoiser_of(Data data, bool pruned) {
  static std::unique_ptr<EmpiricalDenoiser> made;
  static std::pair<Data, bool> what;
  if (!made || what != std::pair(data, pruned)) {
    made.reset();
    made = std::make_unique<EmpiricalDenoiser>(data_of(data), headstart::EmpiricalOptions{.rank = pruned ? 250 : 0});
    what = {data, pruned};
  }
  return *made;
}

/// Data points with noise.
Tensor queries(const Tensor& data, double sigma) {
  const Tensor chosen = data.index_select(0, torch::arange(kBatch) * (data.size(0) / kBatch));
  return chosen + sigma * normal(chosen.sizes(), 99);
}

/// As one would write it: three tensors of B N values.
Tensor plain(const Tensor& data, const Tensor& x, double sigma) {
  return (torch::cdist(x, data).square() / (-2 * sigma * sigma)).softmax(1).mm(data);
}

/// Float64, from the differences, row by row.
Tensor brute_force(const Tensor& data, const Tensor& x, double sigma) {
  std::vector<Tensor> rows;
  for (std::int64_t r = 0; r < x.size(0); ++r) {
    Tensor top, total, sum;
    for (const Tensor& part : data.split(2000)) {
      const Tensor z = part.to(torch::kFloat64), e = (z - x[r]).square().sum(1) / (-2 * sigma * sigma), most = e.max();
      const Tensor next = top.defined() ? torch::maximum(top, most) : most, w = (e - next).exp();
      const Tensor factor = top.defined() ? (top - next).exp() : torch::zeros_like(most);
      total = w.sum() + (total.defined() ? total * factor : 0 * most);
      sum = w.matmul(z) + (sum.defined() ? sum * factor : 0 * most);
      top = next;
    }
    rows.push_back(sum / total);
  }
  return torch::stack(rows);
}

/// The denoiser, the plain formulation and a square matrix product in turn, so that whatever else the machine does meets them alike.
/// Counters: rate for 4 B N D flops as a share of the matrix product's, times the plain formulation's speed, relative error of D against
/// float64, share of the points that were not left out, MB beyond what was held before.
void empirical(benchmark::State& state, Data which, bool pruned) {
  const Tensor& data = data_of(which);
  const EmpiricalDenoiser& denoiser = denoiser_of(which, pruned);
  const double sigma = static_cast<double>(state.range(0)) / 100;
  const Tensor x = queries(data, sigma), square = normal({2048, 2048}, 1);
  denoiser.denoise(x, sigma);
  Tensor denoised;
  state.counters["extra_MB"] = peak_bytes([&] { denoised = denoiser.denoise(x, sigma); }) / 1e6;
  Timings own, others, products;
  for (auto _ : state) {
    products.add([&] { return square.mm(square); });
    state.SetIterationTime(own.add([&] { return denoiser.denoise(x, sigma); }));
    others.add([&] { return plain(data, x, sigma); });
  }
  const double flops = 4.0 * static_cast<double>(kBatch * data.numel()), product_rate = 2 * std::pow(2048.0, 3) / products.median();
  state.counters["of_sgemm"] = flops / own.median() / product_rate;
  state.counters["times_plain"] = others.median() / own.median();
  const std::int64_t few = 4;
  const Tensor exact = brute_force(data, x.narrow(0, 0, few), sigma);
  state.counters["error"] = ((denoised.narrow(0, 0, few) - exact).norm(2, 1) / exact.norm(2, 1)).max().item<double>();
  state.counters["share"] = denoiser.share_evaluated(x, sigma).mean().item<double>();
}

void levels(benchmark::internal::Benchmark* bench) {
  bench->ArgName("sigma_percent")->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(3);
  for (const int percent : {10, 50, 100, 200, 500, 8000}) bench->Arg(percent);
}
BENCHMARK_CAPTURE(empirical, fashion_mnist_unpruned, fashion_mnist, false)->Apply(levels);
BENCHMARK_CAPTURE(empirical, fashion_mnist_pruned, fashion_mnist, true)->Apply(levels);
BENCHMARK_CAPTURE(empirical, synthetic_unpruned, synthetic, false)->Apply(levels);
BENCHMARK_CAPTURE(empirical, synthetic_pruned, synthetic, true)->Apply(levels);

}  // namespace
