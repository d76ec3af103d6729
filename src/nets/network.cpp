#include "headstart/nets/network.h"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/nets/torchscript.h"
#include "headstart/nets/unet_file.h"

namespace headstart {

using torch::Tensor;

void Network::require_no_classes() const {
  if (info_.classes > 0)
    throw InvalidArgument(
        fmt::format("{}: expected a network without classes, got one with {}: a class cannot be asked for yet", info_.path, info_.classes));
}

Tensor Network::evaluate(const Tensor& x, const Tensor& sigma) const {
  require_no_classes();
  const auto& shape = info_.shape;
  constexpr double kSlack = 1e-6;  // the ends went through text and float32
  const double least = sigma.min().item<double>(), most = sigma.max().item<double>();
  if (least < info_.sigma_min * (1 - kSlack) || most > info_.sigma_max * (1 + kSlack))
    throw InvalidArgument(fmt::format("{}: expected sigma in [{}, {}], the levels it was trained on, got {}", info_.path, info_.sigma_min,
                                      info_.sigma_max, least < info_.sigma_min ? least : most));
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(device());
  return in_micro_batches(x.to(options), sigma.to(options),
                          [&](const Tensor& points, const Tensor& levels) {
                            const Tensor images = points.view({-1, shape.channels, shape.height, shape.width});
                            return denoise_images(images, levels.view({-1, 1, 1, 1})).flatten(1);
                          })
      .to(x.options());
}

torch::Device parse_device(const std::string& name) {
  try {
    const torch::Device device(name);
    const auto gpus = static_cast<std::int64_t>(torch::cuda::device_count());
    if (device.is_cpu() || (device.is_cuda() && std::max<std::int64_t>(device.index(), 0) < gpus)) return device;
  } catch (const c10::Error&) {  // no device's name at all: the message below says which there are
  }
  throw InvalidArgument("[parse_device] expected cpu, or cuda[:i] of " + std::to_string(torch::cuda::device_count()) + " GPUs, got " +
                        name);
}

torch::ScalarType parse_precision(const std::string& name) {
  if (name == "fp32") return torch::kFloat32;
  if (name == "bf16") return torch::kBFloat16;
  throw InvalidArgument("--precision: expected one of fp32, bf16, got " + name);
}

std::shared_ptr<Network> load_network(const std::string& path, const LoadOptions& options) {
  std::ifstream file(path, std::ios::binary);
  if (!std::filesystem::is_regular_file(path) || !file) throw DataError(path, "no such file");
  char magic[4] = {};
  if (!file.read(magic, sizeof magic)) throw DataError(path, "is empty or too short to be a network");
  if (magic[0] == 'P' && magic[1] == 'K') return load_torchscript(path, options);  // TorchScript is a zip archive
  return load_unet(path, options);
}

}  // namespace headstart
