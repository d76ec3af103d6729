#include "headstart/nets/network.h"

#include <filesystem>
#include <fstream>

#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/nets/torchscript.h"
#include "headstart/nets/unet_file.h"

namespace headstart {

using torch::Tensor;

Tensor Network::evaluate(const Tensor& x, const Tensor& sigma) const {
  const auto& shape = info_.shape;
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(device());
  return in_micro_batches(x.to(options), sigma.to(options),
                          [&](const Tensor& points, const Tensor& levels) {
                            const Tensor images = points.view({-1, shape.channels, shape.height, shape.width});
                            return denoise_images(images, levels.view({-1, 1, 1, 1})).flatten(1);
                          })
      .to(x.options());
}

std::shared_ptr<Network> load_network(const std::string& path, const std::string& device) {
  std::ifstream file(path, std::ios::binary);
  if (!std::filesystem::is_regular_file(path) || !file) throw DataError(path, "no such file");
  char magic[4] = {};
  if (!file.read(magic, sizeof magic)) throw DataError(path, "is empty or too short to be a network");
  if (magic[0] == 'P' && magic[1] == 'K') return load_torchscript(path, device);  // TorchScript is a zip archive
  return load_unet(path, device);
}

}  // namespace headstart
