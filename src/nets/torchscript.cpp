#include "headstart/nets/torchscript.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/script.h>

#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/nets/card.h"

namespace headstart {
namespace {

using torch::Tensor;

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
    const Parametrisation& p = card_.parametrisation;
    const Levels levels = levels_of(p.schedule.scaling, sigma);
    const Tensor output = call(network_input(p, x, levels), network_time(p, sigma));
    return denoised_of(p, x, output.narrow(1, 0, x.size(1)), levels);
  }
  torch::Device device() const override { return device_; }

 private:
  Tensor call(const Tensor& input, const Tensor& time) const {
    // The profiling executor would run its first calls on other code than the later ones, and pictures would depend on that.
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    Tensor out;
    try {
      out = module_.forward({input, time}).toTensor();
    } catch (const c10::Error& e) {
      throw DataError(info().path, "the network failed: " + last_line(e.what_without_backtrace()));
    } catch (const std::exception& e) {  // what a script raises or asserts is no c10::Error
      throw DataError(info().path, "the network failed: " + last_line(e.what()));
    }
    std::vector<std::int64_t> expected = input.sizes().vec();
    expected[1] = card_.output_channels;
    if (out.sizes() != expected)
      throw DataError(info().path, fmt::format("expected the network to return [{}], got [{}]", fmt::join(expected, ", "),
                                               fmt::join(out.sizes().vec(), ", ")));
    return out.to(torch::kFloat32);
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
    throw DataError(path, "expected a TorchScript file: " + last_line(e.what_without_backtrace()));
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
