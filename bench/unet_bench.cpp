// The shipped U-Net and its one kernel, beside what this machine's own sgemm and libtorch's own operations reach in the same run.

#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <numeric>

#include "headstart/core/parallel.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/nets/norm_silu.h"
#include "headstart/nets/precondition.h"
#include "headstart/nets/train.h"
#include "plain_unet.h"

namespace headstart {
namespace {

using benchmark::Counter;
using torch::Tensor;

void rate(benchmark::State& state, const char* name, double per_iteration) {
  state.counters[name] = Counter(per_iteration * static_cast<double>(state.iterations()), Counter::kIsRate);
}

void sgemm(benchmark::State& state) {
  set_threads(static_cast<int>(state.range(0)));
  const torch::NoGradGuard no_grad;
  constexpr double kSize = 1024;
  const Tensor a = torch::randn({1024, 1024}), b = torch::randn({1024, 1024});
  Tensor c = torch::mm(a, b);  // the first call sets up the BLAS
  for (auto _ : state) benchmark::DoNotOptimize(torch::mm_out(c, a, b));
  rate(state, "GFLOP/s", 2e-9 * kSize * kSize * kSize);
}
BENCHMARK(sgemm)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

/// Arguments: channels, height (= width), channels-last input or not, backward or not.
template <auto function>
void norm_silu_at(benchmark::State& state) {
  set_threads(1);
  const std::int64_t channels = state.range(0), size = state.range(1);
  const bool channels_last = state.range(2) != 0, backward = state.range(3) != 0;
  torch::manual_seed(0);
  Tensor x = torch::randn({16, channels, size, size}), grad = torch::randn_like(x);
  if (channels_last) {
    x = x.contiguous(at::MemoryFormat::ChannelsLast);
    grad = grad.contiguous(at::MemoryFormat::ChannelsLast);
  }
  const std::vector<Tensor> inputs{x, torch::randn({channels}), torch::randn({channels}), torch::randn({16, channels}),
                                   torch::randn({16, channels})};
  for (auto input : inputs) input.requires_grad_(backward);
  for (auto _ : state) {
    const Tensor y = function(inputs[0], {8, inputs[1], inputs[2]}, inputs[3], inputs[4]);
    if (backward)
      benchmark::DoNotOptimize(torch::autograd::grad({y}, inputs, {grad}));
    else
      benchmark::DoNotOptimize(y);
  }
  rate(state, "images/s", 16);
}

void norm_silu_cases(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"channels", "size", "channels_last", "backward"})->Unit(benchmark::kMicrosecond);
  for (const int channels_last : {1, 0})
    for (const int backward : {0, 1})
      for (const auto& [channels, size] : {std::pair{32, 28}, {64, 14}}) bench->Args({channels, size, channels_last, backward});
}
BENCHMARK(norm_silu_at<norm_silu>)->Name("norm_silu")->Apply(norm_silu_cases);
BENCHMARK(norm_silu_at<norm_silu_plain>)->Name("norm_silu_plain")->Apply(norm_silu_cases);

SongUNet shipped(torch::ScalarType type = torch::kFloat32) {
  torch::manual_seed(0);
  SongUNetConfig config = SongUNetConfig::small({1, 28, 28});
  config.patch = 2;
  SongUNet network(config);
  network->set_compute_type(type);
  return network;
}

/// What computes: the same network in libtorch's own layers (plain_unet.h), ours, ours with bfloat16 convolutions.
enum Kind { kPlain, kFloat, kBfloat16 };

torch::ScalarType type_of(std::int64_t kind) { return kind == kBfloat16 ? torch::kBFloat16 : torch::kFloat32; }

template <class Net>
Tensor denoise(Net& network, const Tensor& images, const Tensor& levels) {
  const auto c = edm_preconditioning(levels.view({-1, 1, 1, 1}), 0.5);
  return c.c_skip * images + c.c_out * network->forward(c.c_in * images, c.c_noise.flatten());
}

/// Denoising as a network from a file does it: EDM's preconditioning, micro-batches in parallel. The plain network takes the batch whole.
void unet_denoise(benchmark::State& state) {
  set_threads(static_cast<int>(state.range(0)));
  const torch::NoGradGuard no_grad;
  constexpr std::int64_t kRows = 64;
  SongUNet network = shipped(type_of(state.range(1)));
  PlainUNet plain;
  network->eval();
  const Tensor x = torch::randn({kRows, 784}), sigma = torch::full({kRows, 1}, 1.5);
  for (auto _ : state)
    benchmark::DoNotOptimize(state.range(1) == kPlain ? denoise(plain, x.view({-1, 1, 28, 28}), sigma)
                                                      : in_micro_batches(x, sigma, [&](const Tensor& points, const Tensor& levels) {
                                                          return denoise(network, points.view({-1, 1, 28, 28}), levels).flatten(1);
                                                        }));
  rate(state, "images/s", kRows);
  state.counters["parameters"] = static_cast<double>(state.range(1) == kPlain ? count_parameters(*plain) : count_parameters(*network));
}
BENCHMARK(unet_denoise)
    ->ArgNames({"threads", "kind"})
    ->ArgsProduct({{1, 2}, {kPlain, kFloat, kBfloat16}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// One optimiser step on 128 images in shards of 32, as train() takes it; the plain one in one piece with libtorch's Adam.
void unet_training_step(benchmark::State& state) {
  set_threads(static_cast<int>(state.range(0)));
  constexpr std::int64_t kBatch = 128, kShard = 32;
  SongUNet network = shipped(type_of(state.range(1)));
  const Tensor data = torch::rand({256, 1, 28, 28}) * 2 - 1;
  const auto loss = edm_loss(network, data, 0.5, {}, 0);
  FlatAdam adam(*network, {});
  PlainUNet plain;
  torch::optim::Adam plain_adam(plain->parameters(), 1e-3);
  std::int64_t first = 0;
  for (auto _ : state) {
    if (state.range(1) == kPlain) {
      const Tensor clean = data.narrow(0, 0, kBatch), sigma = torch::exp(torch::randn({kBatch, 1, 1, 1}) * 1.2 - 1.2);
      const Tensor error = denoise(plain, clean + sigma * torch::randn_like(clean), sigma) - clean;
      plain_adam.zero_grad();
      (error.square() * (sigma.square() + 0.25) / (sigma * 0.5).square()).mean().backward();
      plain_adam.step();
    } else {
      std::vector<Tensor> gradients(kBatch / kShard);
      parallel_shards(kBatch / kShard, [&](std::int64_t i) { gradients[i] = adam.gradient(loss(first + i * kShard, kShard)); });
      adam.step(std::accumulate(gradients.begin() + 1, gradients.end(), gradients[0]), 1.0, 0.999);
    }
    first += kBatch;
  }
  rate(state, "images/s", kBatch);
}
BENCHMARK(unet_training_step)
    ->ArgNames({"threads", "kind"})
    ->ArgsProduct({{1, 2}, {kPlain, kFloat, kBfloat16}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headstart
