#include "headstart/core/parallel.h"

#include <omp.h>
#include <torch/torch.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "../data/data_test.h"
#include "with_threads.h"

namespace headstart {
namespace {

using torch::Tensor;

TEST(SetThreads, IsWhatThreadsReturns) {
  const WithThreads restore(2);
  EXPECT_EQ(threads(), 2);
  set_threads(1);
  EXPECT_EQ(threads(), 1);
}

TEST(SetThreads, RefusesFewerThanOne) {
  expect_error<InvalidArgument>({"[set_threads] expected at least 1 thread, got 0"}, [] { set_threads(0); });
  expect_error<InvalidArgument>({"got -3"}, [] { set_threads(-3); });
}

TEST(ParallelShards, CallEveryShardOnce) {
  for (const int n : {1, 2}) {
    const WithThreads restore(n);
    std::vector<std::atomic<int>> calls(101);
    parallel_shards(101, [&](std::int64_t i) { ++calls[i]; });
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
  parallel_shards(0, [](std::int64_t) { FAIL() << "there is no shard to call"; });
}

TEST(ParallelShards, SeeOneThreadInsideAndLeaveTheCountOutside) {
  const WithThreads restore(2);
  std::vector<int> inside(8);
  parallel_shards(8, [&](std::int64_t i) { inside[i] = threads(); });
  EXPECT_EQ(inside, std::vector<int>(8, 1));
  EXPECT_EQ(threads(), 2);
}

// libtorch sets up each thread lazily, with the full number of threads: done inside a shard, that once undid the guard below.
TEST(ParallelShards, SeeOneThreadOnWorkersThatAreNewToLibtorch) {
  const WithThreads restore(2);
  std::vector<int> inside(2);
  std::thread([&] {  // a new thread has workers of its own
    std::atomic<int> arrived{0};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    parallel_shards(2, [&](std::int64_t i) {
      ++arrived;
      while (arrived < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();  // one shard for each worker
      torch::ones({100'000}).add_(1);
      inside[i] = omp_get_max_threads();
    });
  })
      .join();
  EXPECT_EQ(inside, (std::vector<int>{1, 1}));
}

TEST(ParallelShards, MayBeNested) {
  const WithThreads restore(2);
  std::atomic<int> calls{0};
  parallel_shards(4, [&](std::int64_t) { parallel_shards(5, [&](std::int64_t) { ++calls; }); });
  EXPECT_EQ(calls, 20);
  EXPECT_EQ(threads(), 2);
}

TEST(ParallelShards, RethrowAnExceptionAfterAllCallsHaveEnded) {
  for (const int n : {1, 2}) {
    const WithThreads restore(n);
    std::atomic<int> calls{0};
    const auto run = [&] {
      parallel_shards(16, [&](std::int64_t i) {
        ++calls;
        if (i == 3) throw NumericalError("shard three");
      });
    };
    expect_error<NumericalError>({"shard three"}, run);
    EXPECT_EQ(calls, 16);
    EXPECT_EQ(threads(), n);
  }
}

TEST(ParallelShards, RethrowOneExceptionWhereAllFail) {
  const WithThreads restore(2);
  EXPECT_THROW(parallel_shards(8, [](std::int64_t) { throw std::runtime_error("each"); }), std::runtime_error);
}

// A loss with a convolution, a matrix product and a long sum: what libtorch would split among threads, each in another way.
std::vector<Tensor> gradients_of_shards() {
  torch::manual_seed(0);
  const Tensor kernel = torch::randn({16, 8, 3, 3}).requires_grad_(), matrix = torch::randn({16 * 100, 50}).requires_grad_();
  const Tensor images = torch::randn({6, 4, 8, 10, 10}).requires_grad_(false);
  std::vector<Tensor> results(6);
  parallel_shards(6, [&](std::int64_t i) {
    const Tensor x = images[i].contiguous(at::MemoryFormat::ChannelsLast);
    const Tensor loss = torch::conv2d(x, kernel, {}, 1, 1).tanh().flatten(1).mm(matrix).square().mean();
    const auto grads = torch::autograd::grad({loss}, {kernel, matrix});
    results[i] = torch::cat({grads[0].reshape(-1), grads[1].reshape(-1), loss.detach().reshape(-1)});
  });
  return results;
}

// oneDNN's backward convolution once waited for threads that never came: without the guards in parallel_shards this test hangs.
TEST(ParallelShards, RunConvolutionsBackwardAndGiveTheSameBitsForOneAndTwoThreads) {
  std::vector<Tensor> one, two;
  {
    const WithThreads restore(1);
    one = gradients_of_shards();
  }
  {
    const WithThreads restore(2);
    two = gradients_of_shards();
  }
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_GT(one[i].abs().sum().item<double>(), 0);
    EXPECT_TRUE(torch::equal(one[i], two[i])) << "shard " << i;
  }
}

}  // namespace
}  // namespace headstart
