// How the cost of each closed form grows with each of its sizes, the others held: scripts/cost_exponents.py fits a power to each series.

#include <ATen/CPUGeneratorImpl.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "headstart/denoise/empirical.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/moments/fit_mixture.h"
#include "headstart/moments/moments.h"
#include "headstart/moments/tensor_stream.h"

namespace {

using headstart::Denoiser;
using torch::Tensor;

struct Sizes {
  std::int64_t N = 20000, D = 784, K = 50, R = 32, B = 256;
};

Tensor normal(at::IntArrayRef shape) { return torch::randn(shape, at::detail::createCPUGenerator(1), torch::kFloat32); }

headstart::GaussianStats gaussian(const Sizes& n) {
  headstart::GaussianStats s;
  s.mean = torch::zeros({n.D}, torch::kFloat64);
  s.basis = std::get<0>(torch::linalg_qr(normal({n.D, n.R}).to(torch::kFloat64)));
  s.eigenvalues = torch::arange(1, n.R + 1, torch::kFloat64).pow(-1.5);
  s.tail = 1e-4;
  s.shape = {1, 1, n.D};
  return s;
}

headstart::MixtureStats mixture(const Sizes& n) {
  headstart::MixtureStats s;
  s.weights = torch::full({n.K}, 1.0 / static_cast<double>(n.K), torch::kFloat64);
  s.mean = 0.3 * normal({n.K, n.D}).to(torch::kFloat64);
  s.basis = std::get<0>(torch::linalg_qr(normal({n.K, n.D, n.R}).to(torch::kFloat64)));
  s.eigenvalues = torch::arange(1, n.R + 1, torch::kFloat64).pow(-1).repeat({n.K, 1});
  s.tail = torch::full({n.K}, 0.02, torch::kFloat64);
  s.shape = {1, 1, n.D};
  return s;
}

/// What is timed, ready to run.
using Work = std::function<void()>;

Work denoising(std::shared_ptr<const Denoiser> denoiser, const Sizes& n) {
  return [denoiser = std::move(denoiser), x = normal({n.B, n.D})] { benchmark::DoNotOptimize(denoiser->denoise(x, 3.0)); };
}
Work gaussian_denoise(const Sizes& n) { return denoising(std::make_shared<headstart::GaussianDenoiser>(gaussian(n)), n); }
Work mixture_denoise(const Sizes& n) { return denoising(std::make_shared<headstart::MixtureDenoiser>(mixture(n)), n); }
Work exact_denoise(const Sizes& n) {
  return denoising(std::make_shared<headstart::EmpiricalDenoiser>(normal({n.N, n.D}), headstart::EmpiricalOptions{.rank = 0}), n);
}
Work gaussian_fit(const Sizes& n) {
  return [x = normal({n.N, n.D})] {
    headstart::TensorStream stream(x);
    benchmark::DoNotOptimize(headstart::fit_gaussian(stream));
  };
}
/// Three iterations from k-means on, of points around K centres: each belongs to one component, as those of images nearly do.
Work em_fit(const Sizes& n) {
  const Tensor centres = 3 * normal({n.K, n.D});
  return [n, x = normal({n.N, n.D}) + centres.index_select(0, torch::arange(n.N) % n.K)] {
    headstart::TensorStream stream(x);
    benchmark::DoNotOptimize(
        headstart::fit_mixture(stream, {.components = n.K, .rank = n.R, .max_iterations = 3, .tolerance = 0, .memory = 1e9}));
  };
}

void add_series(const std::string& name, Work (*make)(const Sizes&), std::int64_t Sizes::*size, const std::string& letter,
                const std::vector<std::int64_t>& values, const Sizes& others = {}) {
  for (const auto value : values) {
    Sizes sizes = others;
    sizes.*size = value;
    benchmark::RegisterBenchmark((name + "/" + letter + "/" + std::to_string(value)).c_str(),
                                 [make, sizes](benchmark::State& state) {
                                   const Work work = make(sizes);
                                   work();
                                   for (auto _ : state) work();
                                 })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
}

const bool added = [] {
  const std::vector<std::int64_t> batches = {256, 512, 1024, 2048}, dims = {768, 1536, 3072, 6144}, ranks = {32, 64, 128, 256};
  add_series("gaussian_denoise", gaussian_denoise, &Sizes::B, "B", batches, {.R = 256});
  add_series("gaussian_denoise", gaussian_denoise, &Sizes::D, "D", dims, {.R = 256});
  add_series("gaussian_denoise", gaussian_denoise, &Sizes::R, "R", {96, 192, 384, 768});
  add_series("mixture_denoise", mixture_denoise, &Sizes::B, "B", batches);
  add_series("mixture_denoise", mixture_denoise, &Sizes::D, "D", dims);
  add_series("mixture_denoise", mixture_denoise, &Sizes::K, "K", {25, 50, 100, 200});
  add_series("mixture_denoise", mixture_denoise, &Sizes::R, "R", ranks);
  add_series("exact_denoise", exact_denoise, &Sizes::B, "B", batches);
  add_series("exact_denoise", exact_denoise, &Sizes::D, "D", dims);
  add_series("exact_denoise", exact_denoise, &Sizes::N, "N", {10000, 20000, 40000, 80000});
  add_series("gaussian_fit", gaussian_fit, &Sizes::N, "N", {20000, 40000, 80000, 160000});
  add_series("gaussian_fit", gaussian_fit, &Sizes::D, "D", {384, 768, 1536, 3072});
  add_series("em_fit", em_fit, &Sizes::N, "N", {10000, 20000, 40000, 80000});
  add_series("em_fit", em_fit, &Sizes::D, "D", {384, 768, 1536, 3072});
  add_series("em_fit", em_fit, &Sizes::K, "K", {25, 50, 100, 200});
  add_series("em_fit", em_fit, &Sizes::R, "R", {16, 32, 64, 128});
  return true;
}();

}  // namespace
