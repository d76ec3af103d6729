#include "headstart/nets/torchscript.h"

#include <torch/script.h>

#include "headstart/data/sha256.h"
#include "headstart/nets/schedule.h"
#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

constexpr double kVariance = 0.25;  // of the Gaussian whose optimal denoiser the scripts compute

const char* const kShape = R"("shape": [1, 4, 4], )";
const char* const kDenoised = R"({"prediction": "denoised", "shape": [1, 4, 4]})";
const char* const kDdpm = R"("schedule": {"type": "vp_linear", "beta_start": 1e-4, "beta_end": 0.02, "steps": 1000})";

std::string eps_card(const std::string& more = "") { return std::string("{\"prediction\": \"eps\", ") + kShape + kDdpm + more + "}"; }

class TorchScript : public testing::Test {
 protected:
  /// Saves a scripted network of this body of `forward(self, x, t)`, which knows the table of ln sigma, and its card.
  void save(const std::string& body, const std::string& card, std::int64_t parameters = 3) const {
    torch::jit::Module module("net");
    module.register_buffer("log_sigmas", torch::tensor(vp_linear(1e-4, 0.02, 1000).log_sigmas, torch::kFloat64));
    module.register_parameter("spare", torch::zeros({parameters}), false);
    std::string indented = "def forward(self, x, t):\n";
    for (std::size_t begin = 0; begin < body.size();) {
      const std::size_t end = std::min(body.find('\n', begin), body.size());
      indented += "    " + body.substr(begin, end - begin) + "\n";
      begin = end + 1;
    }
    module.define(indented);
    module.save(path_);
    write_text(path_ + ".json", card);
  }

  std::shared_ptr<Network> load() const { return load_network(path_); }

  TempDir folder_;
  std::string path_ = folder_ / "net.pt";
};

/// The optimum of N(0, kVariance I): what every script below amounts to.
Tensor optimum(const Tensor& x, const Tensor& sigma) { return x * (kVariance / (kVariance + sigma.square())).unsqueeze(1); }

Tensor noisy(const Tensor& sigma) {
  torch::manual_seed(0);
  return torch::randn({sigma.size(0), 16}, torch::kFloat64) * (kVariance + sigma.square()).sqrt().unsqueeze(1);
}

/// Relative to the point, whose own float32 rounding is all that an eps network can return.
double error_of(const Network& network, const Tensor& sigma) {
  const Tensor x = noisy(sigma), difference = (network.denoise(x, sigma) - optimum(x, sigma)).abs();
  return (difference / (1 + x.abs())).max().item<double>();
}

const char* const kOptimalDenoised = R"(s = t.view(-1, 1, 1, 1)
return x * (0.25 / (0.25 + s * s)))";

// eps* = s x_t / (alpha^2 sd2 + s^2); the table is interpolated linearly in ln sigma, and rounds where it gets integers.
const char* const kOptimalEps = R"(time = t.double()
lower = torch.clamp(torch.floor(time), 0., 998.)
w = time - lower
i = lower.long()
sigma = torch.exp((1. - w) * self.log_sigmas[i] + w * self.log_sigmas[i + 1]).view(-1, 1, 1, 1)
alpha2 = 1. / (1. + sigma * sigma)
s2 = 1. - alpha2
return (x * (torch.sqrt(s2) / (alpha2 * 0.25 + s2))).float())";

TEST_F(TorchScript, DenoisesByItself) {
  save(kOptimalDenoised, kDenoised);
  const auto network = load();
  EXPECT_LT(error_of(*network, torch::logspace(-2, 1.9, 37, 10.0, torch::kFloat64)), 1e-6);
  const auto& info = network->info();
  EXPECT_EQ(info.path, path_);
  EXPECT_EQ(info.kind, "torchscript");
  EXPECT_EQ(info.prediction, "denoised");
  EXPECT_EQ(info.shape, (ImageShape{1, 4, 4}));
  EXPECT_EQ(info.range_low, -1);
  EXPECT_EQ(info.range_high, 1);
  EXPECT_EQ(info.sigma_min, 0.002);
  EXPECT_EQ(info.sigma_max, 80);
  EXPECT_EQ(info.parameters, 3);
  EXPECT_EQ(info.sha256, sha256_file(path_));
}

TEST_F(TorchScript, TakesItsRangesFromTheCard) {
  save(kOptimalDenoised,
       std::string("{\"prediction\": \"denoised\", ") + kShape + R"("time": "sigma", "range": [0, 2], "sigma_min": 0.5, "sigma_max": 7})");
  const auto& info = load()->info();
  EXPECT_EQ(info.range_low, 0);
  EXPECT_EQ(info.range_high, 2);
  EXPECT_EQ(info.sigma_min, 0.5);
  EXPECT_EQ(info.sigma_max, 7);
}

TEST_F(TorchScript, TurnsEpsIntoTheDenoisedAtTheTablesSigmas) {
  const Tensor sigma = torch::tensor(vp_linear(1e-4, 0.02, 1000).log_sigmas, torch::kFloat64).exp();
  for (const char* dtype : {"", R"(, "time_dtype": "int64")", R"(, "time": "step", "time_dtype": "float32")"}) {
    save(kOptimalEps, eps_card(dtype));
    const auto network = load();
    EXPECT_LT(error_of(*network, sigma), 1e-6) << dtype;
    EXPECT_NEAR(network->info().sigma_min, 0.0100005, 1e-6);
    EXPECT_NEAR(network->info().sigma_max, 157.407, 1e-3);
  }
}

TEST_F(TorchScript, InterpolatesBetweenStepsWhereTheTimeIsAFloat) {
  const Tensor sigma = torch::logspace(-1.99, 2.19, 101, 10.0, torch::kFloat64);
  save(kOptimalEps, eps_card(R"(, "time_dtype": "float32")"));
  EXPECT_LT(error_of(*load(), sigma), 1e-6);
  save(kOptimalEps, eps_card());  // the nearest step is not as good: the test above would notice
  EXPECT_GT(error_of(*load(), sigma), 1e-5);
}

TEST_F(TorchScript, AsksForTheNearestIntegerStep) {
  const StepTable table = vp_linear(1e-4, 0.02, 1000);
  const auto between = [&](double w) { return std::exp((1 - w) * table.log_sigmas[500] + w * table.log_sigmas[501]); };
  const auto step_at = [&](double sigma) { return -load()->denoise(torch::zeros({1, 16}), sigma)[0][3].item<double>() / sigma; };
  save("assert not t.is_floating_point()\nreturn torch.zeros_like(x) + t.view(-1, 1, 1, 1)", eps_card());
  EXPECT_NEAR(step_at(between(0.4)), 500, 1e-3);
  EXPECT_NEAR(step_at(between(0.6)), 501, 1e-3);
  save("assert t.is_floating_point()\nreturn torch.zeros_like(x) + t.view(-1, 1, 1, 1)", eps_card(R"(, "time_dtype": "float32")"));
  EXPECT_NEAR(step_at(between(0.4)), 500.4, 2e-3);
}

TEST_F(TorchScript, GivesARowTheSameBitsInEveryBatchAndOnItsFirstCall) {
  save(
      "w = torch.sin(torch.arange(256).float()).view(16, 16)\n"
      "h = torch.tanh(torch.mm(x.flatten(1), w) + t.view(-1, 1))\nreturn torch.exp(-h * h).view_as(x) * torch.sigmoid(x)",
      kDenoised);
  const auto network = load();
  const Tensor sigma = levels_of_rows(40), x = noisy(sigma.to(torch::kFloat64)).to(torch::kFloat32);
  const Tensor first = network->denoise(x, sigma);
  for (int call = 0; call < 4; ++call) EXPECT_TRUE(torch::equal(network->denoise(x, sigma), first)) << call;
  for (const std::int64_t batch : {1, 3, 16, 17}) {
    const Tensor part = network->denoise(x.narrow(0, 20, batch), sigma.narrow(0, 20, batch));
    EXPECT_TRUE(torch::equal(part, first.narrow(0, 20, batch))) << batch;
  }
  const WithThreads restore(2);
  EXPECT_TRUE(torch::equal(network->denoise(x, sigma), first));
}

TEST_F(TorchScript, RefusesSigmasOutsideItsSchedule) {
  save(kOptimalEps, eps_card());
  const auto network = load();
  expect_error<InvalidArgument>({path_, "expected sigma in [0.0100005", "157.407", "the levels it was trained on, got 160"}, [&] {
    network->denoise(torch::zeros({2, 16}), 160.0);
  });
  expect_error<InvalidArgument>({"got 0.002"}, [&] { network->denoise(torch::zeros({2, 16}), 0.002); });
}

TEST_F(TorchScript, NeedsItsCard) {
  save(kOptimalDenoised, kDenoised);
  std::filesystem::remove(path_ + ".json");
  expect_data_error(path_ + ".json", "no such file: a TorchScript network needs a card", [&] { load(); });
}

TEST_F(TorchScript, RefusesACardThatIsNoCard) {
  const auto refuse = [&](const std::string& card, const std::string& part) {
    save(kOptimalDenoised, card);
    expect_data_error(path_ + ".json", part, [&] { load(); });
  };
  refuse("", "expected a network's card");
  refuse("{\"prediction\": ", "expected a network's card");
  refuse("[1, 2]", "expected a network's card");
  refuse(R"({"prediction": "denoised"})", "shape");
  refuse(R"({"shape": [1, 4, 4]})", "prediction");
  refuse(R"({"prediction": "denoised", "shape": [1, 4]})", "expected a network's card");
  refuse(R"({"prediction": "denoised", "shape": "1,4,4"})", "expected a network's card");
  refuse(R"({"prediction": "denoised", "shape": [1, 4, 4], "range": 3})", "expected a network's card");
  refuse(R"({"prediction": "eps", "shape": [1, 4, 4]})", "schedule");
  refuse(R"({"prediction": "denoised", "shape": [1, 0, 4]})", "expected shape of positive sizes");
  refuse(R"({"prediction": "denoised", "shape": [1, 4, 4], "range": [1, -1]})", "expected range as [low, high] with low < high");
  refuse(R"({"prediction": "denoised", "shape": [1, 4, 4], "sigma_min": 3, "sigma_max": 1})", "expected 0 < sigma_min < sigma_max");
  refuse(R"({"prediction": "eps", "shape": [1, 4, 4], "schedule": {"type": "vp_linear"}})", "not found");
}

TEST_F(TorchScript, ListsWhatItKnowsWhereTheCardAsksForSomethingElse) {
  const auto refuse = [&](const std::string& card, const std::string& part) {
    save(kOptimalDenoised, card);
    expect_error<InvalidArgument>({path_ + ".json", part}, [&] { load(); });
  };
  const std::string shape = kShape;
  refuse("{" + shape + R"("prediction": "v"})", "expected prediction to be one of denoised, eps, got v");
  refuse("{" + shape + R"("prediction": "denoised", "time": "log_sigma"})", "to be one of sigma, got log_sigma");
  refuse("{" + shape + R"("prediction": "eps", "schedule": {"type": "cosine"}})", "to be one of vp_linear, got cosine");
  refuse(eps_card(R"(, "time": "fraction")"), "to be one of step, got fraction");
  refuse(eps_card(R"(, "time_dtype": "int32")"), "expected time_dtype to be one of int64, float32, got int32");
  // What is not understood yet is refused, not ignored.
  refuse("{" + shape + R"("prediction": "denoised", "input": "c_in_x"})", "expected input to be one of x_t");
  refuse("{" + shape + R"("prediction": "denoised", "time_scale": 1000})", "expected time_scale to be one of 1, got 1000");
  refuse("{" + shape + R"("prediction": "denoised", "flip_time": true})", "expected flip_time to be one of false, got true");
  refuse("{" + shape + R"("prediction": "denoised", "classes": 10})", "expected classes to be one of none");
  refuse("{" + shape + R"("prediction": "denoised", "output_channels": 2})", "expected output_channels to be one of 1, got 2");
}

TEST_F(TorchScript, NamesTheCardWhoseScheduleIsImpossible) {
  save(kOptimalEps,
       R"({"prediction": "eps", "shape": [1, 4, 4], "schedule": {"type": "vp_linear", "beta_start": 0.1, "beta_end": 0.02, "steps": 10}})");
  expect_error<DataError>({path_ + ".json", "[vp_linear] expected 0 < beta_start <= beta_end"}, [&] { load(); });
}

TEST_F(TorchScript, RefusesAFileThatIsNone) {
  write_text(path_ + ".json", kDenoised);
  for (const std::string& bytes : {std::string("PK\x03\x04 but no archive"), std::string("PK")}) {
    write_text(path_, bytes);
    expect_data_error(path_, "", [&] { load(); });
  }
  save(kOptimalDenoised, kDenoised);
  const std::string good = read_text(path_);
  write_text(path_, good.substr(0, good.size() / 2));
  expect_data_error(path_, "expected a TorchScript file", [&] { load(); });
  write_text(path_, "no archive at all");
  expect_data_error(path_, "expected a TorchScript file", [&] { load_torchscript(path_); });
}

TEST_F(TorchScript, RefusesANetworkThatReturnsSomethingElse) {
  const auto refuse = [&](const std::string& body, const std::string& part) {
    save(body, kDenoised);
    const auto network = load();
    expect_data_error(path_, part, [&] { network->denoise(torch::zeros({2, 16}), 1.0); });
  };
  refuse("return x.flatten(1)", "expected the network to return the shape of its input");
  refuse("return torch.cat([x, x], 1)", "expected the network to return the shape of its input");
  refuse("return (x, t)", "");
  refuse("return x + torch.zeros(3, 5)", "the network failed");
  refuse("assert False, 'not today'\nreturn x", "the network failed");
}

}  // namespace
}  // namespace headstart
