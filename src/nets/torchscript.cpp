#include "headstart/nets/torchscript.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/nets/card.h"
#include "headstart/nets/script.h"

namespace headstart {
namespace {

using torch::Tensor;

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
    const Tensor out = call_script(info().path, "the network failed", [&] {
                         return torch::jit::IValue(module_.forward({input, time}).toTensor());
                       }).toTensor();
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

std::shared_ptr<Network> load_torchscript(const std::string& path, const LoadOptions& options) {
  if (options.compute_type != torch::kFloat32)
    throw InvalidArgument(path + ": expected --precision fp32: a TorchScript file computes in the type it was traced in");
  Card card = read_card(path + ".json");
  const torch::Device target = parse_device(options.device);
  torch::jit::Module module = load_script(path, target);
  card.info.path = path;
  card.info.sha256 = sha256_file(path);
  for (const auto& parameter : module.parameters()) card.info.parameters += parameter.numel();
  return std::make_shared<TorchScriptNetwork>(std::move(card), std::move(module), target);
}

}  // namespace headstart
