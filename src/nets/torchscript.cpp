#include "headstart/nets/torchscript.h"

#include <fmt/format.h>
#include <torch/script.h>

#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/nets/schedule.h"

namespace headstart {
namespace {

using torch::Tensor;

/// What the card says, checked.
struct Card {
  NetworkInfo info;
  std::optional<StepTable> table;  // only where the time is a step
  bool integer_steps = false;
};

[[noreturn]] void unknown(const std::string& path, const std::string& key, const std::string& got, const std::string& known) {
  throw InvalidArgument(fmt::format("{}: expected {} to be one of {}, got {}", path, key, known, got));
}

Card read_card(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw DataError(path, "no such file: a TorchScript network needs a card with prediction, time, schedule, shape and range");
  try {
    const auto json = nlohmann::json::parse(file);
    Card card;
    const auto& shape = json.at("shape");
    card.info = {.kind = "torchscript", .prediction = json.at("prediction"), .shape = {shape.at(0), shape.at(1), shape.at(2)}};
    if (card.info.shape.channels < 1 || card.info.shape.height < 1 || card.info.shape.width < 1)
      throw DataError(path, "expected shape of positive sizes");
    // What is not understood must not be ignored: the pictures would be wrong and nothing would say why.
    if (json.value("input", "x_t") != "x_t") unknown(path, "input", json.at("input").dump(), "x_t");
    if (json.value("time_scale", 1.0) != 1.0) unknown(path, "time_scale", json.at("time_scale").dump(), "1");
    if (json.value("flip_time", false)) unknown(path, "flip_time", "true", "false");
    if (json.contains("classes")) unknown(path, "classes", json.at("classes").dump(), "none (unconditional networks)");
    if (json.value("output_channels", card.info.shape.channels) != card.info.shape.channels)
      unknown(path, "output_channels", json.at("output_channels").dump(), std::to_string(card.info.shape.channels));
    if (json.contains("range")) {
      card.info.range_low = json.at("range").at(0);
      card.info.range_high = json.at("range").at(1);
    }
    if (card.info.prediction == "denoised") {
      const std::string time = json.value("time", "sigma");
      if (time != "sigma") unknown(path, "time (of prediction denoised)", time, "sigma");
    } else if (card.info.prediction == "eps") {
      const auto& schedule = json.at("schedule");
      const std::string type = schedule.at("type");
      if (type != "vp_linear") unknown(path, "schedule.type (of prediction eps)", type, "vp_linear");
      const std::string time = json.value("time", "step");
      if (time != "step") unknown(path, "time (of prediction eps)", time, "step");
      const std::string dtype = json.value("time_dtype", "int64");
      if (dtype != "int64" && dtype != "float32") unknown(path, "time_dtype", dtype, "int64, float32");
      card.integer_steps = dtype == "int64";
      try {
        card.table = vp_linear(schedule.at("beta_start"), schedule.at("beta_end"), schedule.at("steps"));
      } catch (const InvalidArgument& e) {
        throw DataError(path, e.what());
      }
      card.info.sigma_min = card.table->sigma_min();
      card.info.sigma_max = card.table->sigma_max();
    } else {
      unknown(path, "prediction", card.info.prediction, "denoised, eps");
    }
    card.info.sigma_min = json.value("sigma_min", card.info.sigma_min);
    card.info.sigma_max = json.value("sigma_max", card.info.sigma_max);
    if (!(card.info.range_low < card.info.range_high)) throw DataError(path, "expected range as [low, high] with low < high");
    if (!(card.info.sigma_min > 0 && card.info.sigma_min < card.info.sigma_max))
      throw DataError(path, "expected 0 < sigma_min < sigma_max");
    return card;
  } catch (const nlohmann::json::exception& e) {
    throw DataError(path, std::string("expected a network's card: ") + e.what());
  }
}

/// libtorch's messages run over many lines; the last one says what is wrong.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.find_last_of('\n') + 1);
}

class TorchScriptNetwork : public Network {
 public:
  TorchScriptNetwork(Card card, torch::jit::Module module, torch::Device device)
      : Network(card.info), card_(std::move(card)), module_(std::move(module)), device_(device) {}

 protected:
  Tensor denoise_images(const Tensor& x, const Tensor& sigma) const override {
    if (card_.info.prediction == "denoised") return call(x, sigma.flatten());
    Tensor step = card_.table->step_of(sigma.flatten());
    step = card_.integer_steps ? step.round().to(torch::kInt64) : step.to(torch::kFloat32);
    const Tensor x_t = x * (1 + sigma.square()).rsqrt();  // alpha = 1 / sqrt(1 + sigma^2) where alpha^2 + s^2 = 1
    return x - sigma * call(x_t, step.to(device_));
  }
  torch::Device device() const override { return device_; }

 private:
  Tensor call(const Tensor& x, const Tensor& time) const {
    // The profiling executor would run its first calls on other code than the later ones, and pictures would depend on that.
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    Tensor out;
    try {
      out = module_.forward({x, time}).toTensor();
    } catch (const c10::Error& e) {
      throw DataError(info().path, "the network failed: " + last_line(e.what_without_backtrace()));
    } catch (const std::exception& e) {  // what a script raises or asserts is no c10::Error
      throw DataError(info().path, "the network failed: " + last_line(e.what()));
    }
    if (out.sizes() != x.sizes())
      throw DataError(info().path, fmt::format("expected the network to return the shape of its input, got {} dimensions", out.dim()));
    return out;
  }

  Card card_;
  mutable torch::jit::Module module_;
  torch::Device device_;
};

}  // namespace

std::shared_ptr<Network> load_torchscript(const std::string& path, const std::string& device) {
  Card card = read_card(path + ".json");
  const torch::Device target = parse_device(device);
  torch::jit::Module module;
  try {
    module = torch::jit::load(path, target);
  } catch (const c10::Error& e) {
    throw DataError(path, std::string("expected a TorchScript file: ") + e.what_without_backtrace());
  } catch (const std::exception& e) {  // code that does not parse
    throw DataError(path, "expected a TorchScript file: " + last_line(e.what()));
  }
  module.eval();
  card.info.path = path;
  card.info.sha256 = sha256_file(path);
  for (const auto& parameter : module.parameters()) card.info.parameters += parameter.numel();
  return std::make_shared<TorchScriptNetwork>(std::move(card), std::move(module), target);
}

}  // namespace headstart
