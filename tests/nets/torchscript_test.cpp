#include "headstart/nets/torchscript.h"

#include <fmt/format.h>
#include <torch/script.h>

#include <nlohmann/json.hpp>

#include "headstart/data/sha256.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/nets/schedule.h"
#include "nets_test.h"

namespace headstart {
namespace {

using nlohmann::json;
using torch::Tensor;

// The Gaussian whose best denoiser every script below computes, in the words of another kind of network.
const ImageShape kShape{2, 2, 3};
Tensor gaussian_mean() { return torch::linspace(-0.8, 0.6, 12, torch::kFloat64); }
Tensor gaussian_variances() { return torch::linspace(2.0, 0.05, 12, torch::kFloat64); }

GaussianDenoiser optimum() {
  return GaussianDenoiser(GaussianStats{
      .mean = gaussian_mean(), .basis = torch::eye(12, torch::kFloat64), .eigenvalues = gaussian_variances(), .shape = kShape});
}

/// A schedule as a card writes it, and as its paper does: sigma of t (or of a step, by `table`), alpha of sigma.
struct Process {
  std::string name;
  json card;
  std::string sigma_of_t{};  ///< TorchScript; empty where the time is a step
  Tensor sigmas{};           ///< of the steps
  std::string alpha{};       ///< TorchScript
};

Tensor sigmas_of_betas(const Tensor& betas) {
  const Tensor alphas_cumprod = (1 - betas).cumprod(0);
  return ((1 - alphas_cumprod) / alphas_cumprod).sqrt();
}

Tensor ddpm_betas() { return torch::linspace(1e-4, 0.02, 1000, torch::kFloat64); }

/// sigma^2 = f(0) / f(t) - 1 of the cosine schedule's f.
std::string cosine_of_t(double s) {
  return fmt::format("torch.sqrt({:.17f} / torch.cos((t + {}) / {} * {:.17f}) ** 2 - 1.)", std::pow(std::cos(s / (1 + s) * M_PI_2), 2), s,
                     1 + s, M_PI_2);
}

std::vector<double> list_of(const Tensor& t) { return {t.data_ptr<double>(), t.data_ptr<double>() + t.numel()}; }

std::vector<Process> processes() {
  const std::string none = "torch.ones_like(sigma)", preserving = "1. / torch.sqrt(1. + sigma * sigma)";
  const Tensor few = torch::tensor({0.01, 0.3, 0.02, 0.6, 0.9}, torch::kFloat64);
  const Tensor i = torch::arange(1001, torch::kFloat64) / 1000;
  const Tensor f = ((i + 0.008) / 1.008 * M_PI / 2).cos().square();
  const Tensor cosine_betas = (1 - f.slice(0, 1) / f.slice(0, 0, 1000)).clamp_max(0.999);
  return {
      {"sigma", {{"type", "sigma"}}, "t", {}, none},
      {"ve", {{"type", "ve"}}, "0.02 * 2500. ** t", {}, none},
      {"ve with steps",
       {{"type", "ve"}, {"steps", 200}},
       "",
       torch::logspace(std::log10(0.02), std::log10(50), 200, 10, torch::kFloat64),
       none},
      {"vp_linear",
       {{"type", "vp_linear"}, {"beta_start", 1e-4}, {"beta_end", 0.02}, {"steps", 1000}},
       "",
       sigmas_of_betas(ddpm_betas()),
       preserving},
      {"vp_continuous",
       {{"type", "vp_continuous"}, {"beta_min", 0.1}, {"beta_max", 20}},
       "torch.sqrt(torch.expm1(0.1 * t + 9.95 * t * t))",
       {},
       preserving},
      {"cosine", {{"type", "cosine"}, {"s", 0.008}}, cosine_of_t(0.008), {}, preserving},
      {"cosine, s = 0", {{"type", "cosine"}, {"s", 0}}, fmt::format("torch.tan({:.17f} * t)", M_PI_2), {}, preserving},
      {"cosine with steps", {{"type", "cosine"}, {"s", 0.008}, {"steps", 1000}}, "", sigmas_of_betas(cosine_betas), preserving},
      {"table of betas", {{"type", "table"}, {"betas", list_of(few)}}, "", sigmas_of_betas(few), preserving},
      {"table of alphas_cumprod",
       {{"type", "table"}, {"alphas_cumprod", list_of((1 - ddpm_betas()).cumprod(0))}},
       "",
       sigmas_of_betas(ddpm_betas()),
       preserving},
      {"flow", {{"type", "flow"}}, "t / (1. - t)", {}, "1. / (1. + sigma)"},
  };
}

Process process(const std::string& name) {
  for (auto& p : processes())
    if (p.name == name) return p;
  throw InvalidArgument("no such process: " + name);
}

/// sigma from the network's second argument.
std::string read_time(const std::string& kind, const Process& p, bool flip) {
  if (kind == "sigma") return "sigma = t\n";
  if (kind == "log_sigma") return "sigma = torch.exp(t)\n";
  if (kind == "c_noise") return "sigma = torch.exp(4. * t)\n";
  if (kind == "t") return (flip ? "t = 1. - t\n" : "") + ("sigma = " + p.sigma_of_t) + "\n";
  return std::string("last = self.log_sigmas.size(0) - 1\n") + (flip ? "t = last - t\n" : "") +
         "lower = torch.clamp(torch.floor(t), 0., last - 1.)\n"
         "w = t - lower\n"
         "i = lower.long()\n"
         "sigma = torch.exp((1. - w) * self.log_sigmas[i] + w * self.log_sigmas[i + 1])\n";
}

/// x from the network's first argument.
std::string read_input(const std::string& input) {
  if (input == "x_t") return "x = x / alpha\n";
  if (input == "c_in_x") return "x = x * torch.sqrt(sigma * sigma + 0.49)\n";
  return "";
}

/// What a perfect network returns where the best guess of the image is D.
std::string say(const std::string& prediction, bool flip) {
  if (prediction == "eps") return "out = (x - D) / sigma\n";
  if (prediction == "v") return "out = alpha * (x - D) / sigma - s * D\n";
  if (prediction == "flow") return std::string("out = (x - D) / sigma - D\n") + (flip ? "out = -out\n" : "");
  if (prediction == "score") return "out = (D - x) / sigma / s\n";
  if (prediction == "edm") return "out = (D - 0.49 / (sigma * sigma + 0.49) * x) / (sigma * 0.7 / torch.sqrt(sigma * sigma + 0.49))\n";
  return "out = D\n";
}

struct Words {
  std::string prediction = "denoised", time = "sigma", input = "x";
  double scale = 1;
  bool flip = false;
};

std::string script(const Words& words, const Process& p) {
  return fmt::format("t = t.double() / {:.6f}\n", words.scale) + read_time(words.time, p, words.flip) +
         "sigma = sigma.view(-1, 1, 1, 1)\nx = x.double()\nalpha = " + p.alpha + "\ns = alpha * sigma\n" + read_input(words.input) +
         "D = self.mean + self.variances / (self.variances + sigma * sigma) * (x - self.mean)\n" + say(words.prediction, words.flip) +
         "return out.float()";
}

json card_of(const Words& words, const Process& p) {
  json card{{"prediction", words.prediction}, {"time", words.time}, {"input", words.input}, {"schedule", p.card}, {"shape", {2, 2, 3}}};
  if (words.scale != 1) card["time_scale"] = words.scale;
  if (words.flip) card["flip_time"] = true;
  if (words.time == "step") card["time_dtype"] = "float32";
  if (words.prediction == "edm" || words.input == "c_in_x") card["sigma_data"] = 0.7;
  if (p.card.at("type") == "ve") card.update({{"sigma_min", 0.02}, {"sigma_max", 50}});
  return card;
}

class TorchScript : public testing::Test {
 protected:
  /// Saves a scripted network of this body of `forward(self, x, t)` and its card.
  void save(const std::string& body, const json& card, const Tensor& sigmas = torch::ones({2}, torch::kFloat64)) const {
    torch::jit::Module module("net");
    module.register_buffer("mean", gaussian_mean().view({2, 2, 3}));
    module.register_buffer("variances", gaussian_variances().view({2, 2, 3}));
    module.register_buffer("log_sigmas", sigmas.log());
    module.register_parameter("spare", torch::zeros({3}), false);
    std::string indented = "def forward(self, x, t):\n";
    for (std::size_t begin = 0; begin < body.size();) {
      const std::size_t end = std::min(body.find('\n', begin), body.size());
      indented += "    " + body.substr(begin, end - begin) + "\n";
      begin = end + 1;
    }
    module.define(indented);
    module.save(path_);
    write_text(path_ + ".json", card.dump());
  }
  void save(const Words& words, const Process& p) const {
    save(script(words, p), card_of(words, p), p.sigmas.defined() ? p.sigmas : torch::ones({2}, torch::kFloat64));
  }
  void change_card(const json& changes) const {
    json card = json::parse(read_text(path_ + ".json"));
    card.merge_patch(changes);
    write_text(path_ + ".json", card.dump());
  }

  std::shared_ptr<Network> load() const { return load_network(path_); }

  /// The largest error of D at points of the Gaussian, a level of its own for each row. Relative to the point where the network was asked
  /// for its noise, whose float32 rounding sigma multiplies.
  double error_at(const Tensor& sigma, bool of_noise = false) const {
    torch::manual_seed(0);
    const Tensor noise = torch::randn({sigma.numel(), 12}, torch::kFloat64), noise0 = torch::randn({sigma.numel(), 12}, torch::kFloat64);
    const Tensor x = gaussian_mean() + gaussian_variances().sqrt() * noise0 + sigma.unsqueeze(1) * noise;
    const Tensor truth = optimum().denoise(x, sigma);
    const Tensor scale = 1 + (of_noise ? x.abs() : truth.abs());
    return ((load()->denoise(x, sigma) - truth).abs() / scale).max().item<double>();
  }
  /// Over the whole trained range, both ends among it, in no order.
  double error(bool of_noise = false) const {
    const NetworkInfo info = load()->info();
    const Tensor sigma = torch::linspace(std::log(info.sigma_min), std::log(info.sigma_max), 67, torch::kFloat64).exp();
    return error_at(sigma.clamp(info.sigma_min, info.sigma_max).index_select(0, torch::arange(67) * 29 % 67), of_noise);
  }

  TempDir folder_;
  std::string path_ = folder_ / "net.pt";
};

constexpr double kFloat32 = 2e-6;  // measured: at most 9.2e-7
constexpr double kWrong = 0.01;

bool of_noise(const std::string& prediction) { return prediction == "eps" || prediction == "score"; }

std::vector<std::string> times_of(const Process& p) { return {"sigma", "log_sigma", "c_noise", p.sigmas.defined() ? "step" : "t"}; }

std::vector<std::string> predictions_of(const Process& p) {
  std::vector<std::string> result{"eps", "x0", "score", "edm", "denoised"};
  if (p.alpha.find("sqrt") != std::string::npos) result.emplace_back("v");
  if (p.name == "flow") result.emplace_back("flow");
  return result;
}

TEST_F(TorchScript, DenoisesInEveryParametrisation) {
  const std::vector<std::string> inputs{"x_t", "x", "c_in_x"};
  std::size_t count = 0;
  for (const auto& p : processes())
    for (const auto& time : times_of(p))
      for (const auto& prediction : predictions_of(p)) {
        const Words words{.prediction = prediction, .time = time, .input = inputs[count++ % 3]};
        save(words, p);
        EXPECT_LT(error(of_noise(prediction)), kFloat32) << p.name << ", " << time << ", " << prediction << ", " << words.input;
      }
  EXPECT_EQ(count, 11U * 4 * 5 + 7 * 4 + 4);
}

TEST_F(TorchScript, DenoisesFromEveryInput) {
  for (const char* name : {"sigma", "vp_continuous", "flow"})
    for (const auto& prediction : predictions_of(process(name)))
      for (const char* input : {"x_t", "x", "c_in_x"}) {
        save({.prediction = prediction, .time = "log_sigma", .input = input}, process(name));
        EXPECT_LT(error(of_noise(prediction)), kFloat32) << name << ", " << prediction << ", " << input;
      }
}

TEST_F(TorchScript, ScalesAndFlipsTime) {
  for (const auto& p : processes())
    for (const double scale : {1.0, 999.0, 1000.0, 0.25})
      for (const bool flip : {false, true}) {
        if (flip && p.name == "sigma") continue;
        const Words words{
            .prediction = p.name == "flow" ? "flow" : "x0", .time = times_of(p).back(), .input = "x_t", .scale = scale, .flip = flip};
        save(words, p);
        EXPECT_LT(error(), kFloat32) << p.name << ", times " << scale << (flip ? ", flipped" : "");
      }
}

TEST_F(TorchScript, TellsIntegerStepsAtTheTablesLevels) {
  for (const auto& p : processes()) {
    if (!p.sigmas.defined()) continue;
    for (const bool flip : {false, true})
      for (const double scale : {1.0, 10.0}) {
        save({.prediction = "eps", .time = "step", .input = "x_t", .scale = scale, .flip = flip}, p);
        change_card({{"time_dtype", "int64"}});
        EXPECT_LT(error_at(p.sigmas, true), kFloat32) << p.name;
        if (p.name == "table of betas") {
          EXPECT_GT(error(true), kWrong) << "between the few steps there is nothing to ask for";
        }
      }
  }
  save({.prediction = "flow", .time = "t", .input = "x_t", .scale = 1000, .flip = true}, process("flow"));
  change_card({{"time_dtype", "int64"}});
  const Tensor t = torch::arange(1, 1000, torch::kFloat64) / 1000;
  EXPECT_LT(error_at(t / (1 - t)), kFloat32);
}

TEST_F(TorchScript, GivesItsTimesInTheTypeOfTheCard) {
  const auto step_at = [&](double step) {
    const double sigma = vp_linear(1e-4, 0.02, 1000).to_sigma(step);
    return load()->denoise(torch::zeros({1, 12}), sigma)[0][3].item<double>();
  };
  json card = card_of({.prediction = "x0", .time = "step"}, process("vp_linear"));
  save("assert t.is_floating_point()\nreturn torch.zeros_like(x) + t.view(-1, 1, 1, 1)", card);
  EXPECT_NEAR(step_at(500.4), 500.4, 2e-3);
  card["time_dtype"] = "int64";
  save("assert not t.is_floating_point()\nreturn torch.zeros_like(x) + t.view(-1, 1, 1, 1)", card);
  EXPECT_EQ(step_at(500.4), 500);
  EXPECT_EQ(step_at(500.6), 501);
  card.erase("time_dtype");
  write_text(path_ + ".json", card.dump());
  EXPECT_EQ(step_at(500.6), 501) << "the default of a step";
}

TEST_F(TorchScript, ScalesItsInputForTheLevelThatWasAskedForWhateverTheStep) {
  save("return x", card_of({.prediction = "x0", .time = "step", .input = "x_t"}, process("table of betas")));
  change_card({{"time_dtype", "int64"}});
  for (const double sigma : {0.2, 1.0, 3.0})
    EXPECT_NEAR(load()->denoise(torch::ones({1, 12}), sigma)[0][0].item<double>(), 1 / std::sqrt(1 + sigma * sigma), 1e-6);
}

TEST_F(TorchScript, IsWrongWhereTheCardNamesAnotherPrediction) {
  for (const char* name : {"vp_linear", "flow", "sigma"}) {
    const Process p = process(name);
    for (const auto& said : predictions_of(p))
      for (const auto& read : predictions_of(p)) {
        const bool same = said == read || (said == "x0" && read == "denoised") || (said == "denoised" && read == "x0");
        save({.prediction = said, .time = "sigma", .input = "x_t"}, p);
        change_card({{"prediction", read}, {"sigma_data", read == "edm" ? json(0.7) : json()}});
        if (same)
          EXPECT_LT(error(of_noise(said)), kFloat32) << name << ": " << said << " read as " << read;
        else
          EXPECT_GT(error(of_noise(said)), kWrong) << name << ": " << said << " read as " << read;
      }
  }
}

TEST_F(TorchScript, IsWrongWhereTheCardIsWrong) {
  const auto expect_wrong = [&](const Words& words, const char* name, const json& changes) {
    save(words, process(name));
    ASSERT_LT(error(of_noise(words.prediction)), kFloat32);
    change_card(changes);
    EXPECT_GT(error(of_noise(words.prediction)), kWrong) << name << ": " << changes;
  };
  const Words step{.prediction = "x0", .time = "step", .input = "x_t"}, t{.prediction = "x0", .time = "t", .input = "x_t"};
  expect_wrong(step, "vp_linear", {{"input", "x"}});
  expect_wrong(step, "vp_linear", {{"flip_time", true}});
  expect_wrong(step, "vp_linear", {{"time", "sigma"}});
  expect_wrong(step, "vp_linear", {{"schedule", {{"beta_end", 0.04}}}});
  expect_wrong(step, "cosine with steps", {{"schedule", {{"s", 0.1}}}});
  expect_wrong(t, "cosine", {{"schedule", {{"s", 0.1}}}});
  expect_wrong(t, "vp_continuous", {{"schedule", {{"beta_max", 10}}}});
  expect_wrong(t, "vp_continuous", {{"time_scale", 0.9}});
  expect_wrong(t, "ve", {{"sigma_max", 25}});
  expect_wrong(t, "flow", {{"schedule", {{"type", "sigma"}}}});
  expect_wrong({.prediction = "x0", .time = "c_noise"}, "sigma", {{"time", "log_sigma"}});
  expect_wrong({.prediction = "flow", .time = "t", .input = "x_t"}, "flow", {{"flip_time", true}});
  expect_wrong({.prediction = "edm", .time = "c_noise", .input = "c_in_x"}, "sigma", {{"sigma_data", 0.5}});
}

TEST_F(TorchScript, TakesTheFirstChannelsOfMore) {
  const Process p = process("vp_linear");
  const Words words{.prediction = "eps", .time = "step", .input = "x_t"};
  std::string body = script(words, p);
  const std::string more = body.substr(0, body.rfind("return")) + "return torch.cat([out, 100. + out[:, :1]], 1).float()";
  json card = card_of(words, p);
  card["output_channels"] = 3;
  save(more, card, p.sigmas);
  EXPECT_LT(error(true), kFloat32);
  change_card({{"output_channels", 2}});
  expect_data_error(path_, "expected the network to return [16, 2, 2, 3], got [16, 3, 2, 3]", [&] { error(); });
}

TEST_F(TorchScript, TellsWhatItIs) {
  save({}, process("sigma"));
  change_card({{"range", {0, 1}}, {"sigma_min", 0.5}, {"sigma_max", 7}});
  const auto network = load();
  const auto& info = network->info();
  EXPECT_EQ(info.path, path_);
  EXPECT_EQ(info.kind, "torchscript");
  EXPECT_EQ(info.prediction, "denoised");
  EXPECT_EQ(info.shape, kShape);
  EXPECT_EQ(info.range_low, 0);
  EXPECT_EQ(info.range_high, 1);
  EXPECT_EQ(info.sigma_min, 0.5);
  EXPECT_EQ(info.sigma_max, 7);
  EXPECT_EQ(info.parameters, 3);
  EXPECT_EQ(info.sha256, sha256_file(path_));
}

TEST_F(TorchScript, WithClassesIsDescribedButNotEvaluated) {
  save({}, process("sigma"));
  change_card({{"classes", 10}});
  const auto network = load();
  EXPECT_EQ(network->info().classes, 10);
  const std::vector<std::string> message{path_, "expected a network without classes, got one with 10: a class cannot be asked for yet"};
  expect_error<InvalidArgument>(message, [&] { network->denoise(torch::zeros({1, 12}), 1.0); });
  expect_error<InvalidArgument>(message, [&] { network->require_no_classes(); });
}

TEST_F(TorchScript, GivesARowTheSameBitsInEveryBatchAndOnItsFirstCall) {
  save(
      "w = torch.sin(torch.arange(144).float()).view(12, 12)\n"
      "h = torch.tanh(torch.mm(x.flatten(1), w) + t.view(-1, 1))\nreturn torch.exp(-h * h).view_as(x) * torch.sigmoid(x)",
      card_of({.prediction = "v", .time = "t", .input = "x_t"}, process("cosine")));
  const auto network = load();
  const Tensor sigma = levels_of_rows(40).clamp_min(0.01);
  torch::manual_seed(0);
  const Tensor x = torch::randn({40, 12}) * sigma.unsqueeze(1);
  const Tensor first = network->denoise(x, sigma);
  for (int call = 0; call < 4; ++call) EXPECT_TRUE(torch::equal(network->denoise(x, sigma), first)) << call;
  for (const std::int64_t batch : {1, 3, 16, 17}) {
    const Tensor part = network->denoise(x.narrow(0, 20, batch), sigma.narrow(0, 20, batch));
    EXPECT_TRUE(torch::equal(part, first.narrow(0, 20, batch))) << batch;
  }
  const WithThreads restore(2);
  EXPECT_TRUE(torch::equal(network->denoise(x, sigma), first));
}

TEST_F(TorchScript, RefusesSigmasOutsideItsRange) {
  save({.prediction = "eps", .time = "step", .input = "x_t"}, process("vp_linear"));
  const auto network = load();
  expect_error<InvalidArgument>({path_, "expected sigma in [0.0100005", "157.407", "the levels it was trained on, got 160"}, [&] {
    network->denoise(torch::zeros({2, 12}), 160.0);
  });
  expect_error<InvalidArgument>({"got 0.002"}, [&] { network->denoise(torch::zeros({2, 12}), torch::tensor({1.0, 0.002})); });
}

TEST_F(TorchScript, NeedsItsCard) {
  save({}, process("sigma"));
  std::filesystem::remove(path_ + ".json");
  expect_data_error(path_ + ".json", "no such file: a TorchScript network needs a card", [&] { load(); });
}

TEST_F(TorchScript, RefusesAFileThatIsNone) {
  save({}, process("sigma"));
  const std::string good = read_text(path_);
  for (const std::string& bytes : {std::string("PK\x03\x04 but no archive"), std::string("PK")}) {
    write_text(path_, bytes);
    expect_data_error(path_, "", [&] { load(); });
  }
  write_text(path_, good.substr(0, good.size() / 2));
  expect_data_error(path_, "expected a TorchScript file", [&] { load(); });
  write_text(path_, "no archive at all");
  expect_data_error(path_, "expected a TorchScript file", [&] { load_torchscript(path_); });
}

TEST_F(TorchScript, RefusesAnotherComputeTypeThanItsOwn) {
  save({}, process("sigma"));
  expect_error<InvalidArgument>({path_, "--precision fp32"}, [&] { load_network(path_, {.compute_type = torch::kBFloat16}); });
}

TEST_F(TorchScript, RefusesANetworkThatReturnsSomethingElse) {
  const auto refuse = [&](const std::string& body, const std::string& part) {
    save(body, card_of({}, process("sigma")));
    const auto network = load();
    expect_data_error(path_, part, [&] { network->denoise(torch::zeros({2, 12}), 1.0); });
  };
  refuse("return x.flatten(1)", "expected the network to return [16, 2, 2, 3], got [16, 12]");
  refuse("return torch.cat([x, x], 1)", "expected the network to return [16, 2, 2, 3], got [16, 4, 2, 3]");
  refuse("return (x, t)", "");
  refuse("return x + torch.zeros(3, 5)", "the network failed");
  refuse("assert False, 'not today'\nreturn x", "the network failed");
}

}  // namespace
}  // namespace headstart
