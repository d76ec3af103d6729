#include "headstart/nets/optimizer.h"

#include <limits>

#include "headstart/core/tensor_file.h"
#include "headstart/data/safetensors.h"
#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

torch::nn::Sequential perceptron() {
  torch::manual_seed(3);
  return torch::nn::Sequential(torch::nn::Linear(5, 7), torch::nn::SiLU(), torch::nn::Linear(7, 3));
}

Tensor loss_at(torch::nn::Sequential& network, std::int64_t step) {
  torch::manual_seed(static_cast<std::uint64_t>(100 + step));
  const Tensor x = torch::randn({16, 5}), y = torch::randn({16, 3});
  return (network->forward(x) - y).square().mean();
}

AdamOptions unclipped() { return {.learning_rate = 0.01, .gradient_clip = std::numeric_limits<double>::infinity()}; }

double advance(FlatAdam& adam, torch::nn::Sequential& network, std::int64_t step, double ema_beta = 0.9) {
  return adam.step(adam.gradient(loss_at(network, step)), 1.0, ema_beta);
}

TEST(FlatAdam, TakesTheStepsOfLibtorchsAdam) {
  auto own = perceptron(), theirs = perceptron();
  FlatAdam adam(*own, unclipped());
  torch::optim::Adam reference(theirs->parameters(), torch::optim::AdamOptions(0.01).betas({0.9, 0.99}).eps(1e-8));
  const Tensor start = weights_of(*own);
  for (std::int64_t step = 0; step < 20; ++step) {
    advance(adam, own, step);
    reference.zero_grad();
    loss_at(theirs, step).backward();
    reference.step();
    EXPECT_LT(max_abs(weights_of(*own) - weights_of(*theirs)), 1e-6) << step;
  }
  EXPECT_GT(max_abs(weights_of(*own) - start), 0.05);
  EXPECT_EQ(adam.steps(), 20);
}

TEST(FlatAdam, LeavesTheModuleAndItsGradientsAlone) {
  auto network = perceptron();
  const Tensor before = weights_of(*network), output = network->forward(torch::ones({1, 5})).detach().clone();
  FlatAdam adam(*network, {});
  EXPECT_TRUE(torch::equal(weights_of(*network), before));
  EXPECT_TRUE(torch::equal(network->forward(torch::ones({1, 5})), output));
  const Tensor gradient = adam.gradient(loss_at(network, 0));
  EXPECT_EQ(gradient.numel(), before.numel());
  for (const auto& parameter : network->parameters()) EXPECT_FALSE(parameter.grad().defined());
  loss_at(network, 0).backward();
  std::vector<Tensor> grads;
  for (const auto& parameter : network->parameters()) grads.push_back(parameter.grad().reshape(-1));
  EXPECT_TRUE(torch::equal(torch::cat(grads), gradient));
}

TEST(FlatAdam, ScalesTheLearningRateByTheFactor) {
  auto full = perceptron(), half = perceptron(), none = perceptron();
  const Tensor start = weights_of(*full);
  FlatAdam a(*full, unclipped()), b(*half, unclipped()), c(*none, unclipped());
  a.step(a.gradient(loss_at(full, 0)), 1.0, 0);
  b.step(b.gradient(loss_at(half, 0)), 0.5, 0);
  c.step(c.gradient(loss_at(none, 0)), 0.0, 0);
  EXPECT_LT(max_abs((weights_of(*full) - start) - 2 * (weights_of(*half) - start)), 1e-7);
  EXPECT_TRUE(torch::equal(weights_of(*none), start));
}

TEST(FlatAdam, ClipsTheGradientsNormAndReportsItUnclipped) {
  auto clipped = perceptron(), scaled = perceptron();
  AdamOptions options{.learning_rate = 0.01, .eps = 1.0, .gradient_clip = 0.5};  // a large eps: otherwise Adam forgets the scale
  FlatAdam a(*clipped, options), b(*scaled, options);
  const Tensor direction = torch::linspace(-1, 1, weights_of(*clipped).numel()), unit = direction / direction.norm();
  EXPECT_NEAR(a.step(unit * 10, 1, 0), 10, 1e-5);
  EXPECT_NEAR(b.step(unit * 0.5, 1, 0), 0.5, 1e-6);
  EXPECT_LT(max_abs(weights_of(*clipped) - weights_of(*scaled)), 1e-7);
}

TEST(FlatAdam, AveragesTheWeightsExponentially) {
  auto network = perceptron();
  FlatAdam adam(*network, unclipped());
  Tensor ema = weights_of(*network).to(torch::kFloat64);
  for (std::int64_t step = 0; step < 10; ++step) {
    const double beta = 0.5 + 0.04 * static_cast<double>(step);
    advance(adam, network, step, beta);
    ema = beta * ema + (1 - beta) * weights_of(*network).to(torch::kFloat64);
  }
  const Tensor trained = weights_of(*network);
  adam.swap_ema();
  EXPECT_LT(max_abs(weights_of(*network) - ema), 1e-6);
  EXPECT_GT(max_abs(weights_of(*network) - trained), 1e-4);
}

TEST(FlatAdam, SwapsBackAndForthWithoutAChange) {
  auto network = perceptron();
  FlatAdam adam(*network, unclipped());
  for (std::int64_t step = 0; step < 3; ++step) advance(adam, network, step);
  const Tensor trained = weights_of(*network);
  adam.swap_ema();
  const Tensor averaged = weights_of(*network);
  adam.swap_ema();
  EXPECT_TRUE(torch::equal(weights_of(*network), trained));
  adam.swap_ema();
  EXPECT_TRUE(torch::equal(weights_of(*network), averaged));
}

TEST(FlatAdam, ContinuesFromItsSavedStateBitForBit) {
  const TempDir folder;
  auto whole = perceptron(), resumed = perceptron();
  FlatAdam adam(*whole, unclipped());
  for (std::int64_t step = 0; step < 5; ++step) advance(adam, whole, step);
  write_tensors(folder / "state", adam.state(), {});
  for (std::int64_t step = 5; step < 10; ++step) advance(adam, whole, step);

  perturb(*resumed);
  FlatAdam again(*resumed, unclipped());
  {
    const SafetensorsFile file(folder / "state");
    again.load_state(to_tensor(file.get("parameters")), to_tensor(file.get("ema")), to_tensor(file.get("adam_first")),
                     to_tensor(file.get("adam_second")), 5);
  }
  for (std::int64_t step = 5; step < 10; ++step) advance(again, resumed, step);
  EXPECT_TRUE(torch::equal(weights_of(*resumed), weights_of(*whole)));
  adam.swap_ema();
  again.swap_ema();
  EXPECT_TRUE(torch::equal(weights_of(*resumed), weights_of(*whole)));
  EXPECT_EQ(again.steps(), 10);
}

TEST(FlatAdam, RefusesAStateOfAnotherSize) {
  auto network = perceptron();
  FlatAdam adam(*network, {});
  const Tensor good = torch::zeros({66}), bad = torch::zeros({65}), before = weights_of(*network);
  ASSERT_EQ(before.numel(), 66);
  const std::vector<std::string> message{"expected a checkpoint of 66 parameters, got 65"};
  expect_error<InvalidArgument>(message, [&] { adam.load_state(bad, good, good, good, 1); });
  expect_error<InvalidArgument>(message, [&] { adam.load_state(good, good, good, bad, 1); });
  EXPECT_TRUE(torch::equal(weights_of(*network), before));
}

TEST(FlatAdam, RefusesAGradientThatIsNotFinite) {
  auto network = perceptron();
  FlatAdam adam(*network, {});
  const Tensor before = weights_of(*network);
  for (const double value : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Tensor gradient = torch::zeros({66});
    gradient[12] = value;
    expect_error<NumericalError>({"the gradient is not finite", "smaller learning rate"}, [&] { adam.step(gradient, 1, 0.9); });
  }
  EXPECT_TRUE(torch::equal(weights_of(*network), before));
  EXPECT_EQ(adam.steps(), 0);
}

}  // namespace
}  // namespace headstart
