#include "headstart/nets/unet_file.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "headstart/core/tensor_file.h"
#include "headstart/data/safetensors.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/nets/precondition.h"

namespace headstart {
namespace {

using torch::Tensor;

using Metadata = std::map<std::string, std::string>;

/// Parameters, and the buffers that are drawn at random (frequencies).
NamedTensors tensors_of(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors.emplace_back(item.key(), item.value());
  for (const auto& item : module.named_buffers()) tensors.emplace_back(item.key(), item.value());
  return tensors;
}

void save_module(const std::string& path, const torch::nn::Module& module, Metadata metadata, const Metadata& training) {
  metadata.emplace("format", "headstart-network");
  metadata.emplace("version", "1");
  for (const auto& [key, value] : training) metadata.emplace("train_" + key, value);
  write_tensors(path, tensors_of(module), metadata);
}

void load_module(const SafetensorsFile& file, torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : tensors_of(module)) {
    // EDM keeps its network as the member `model` of the preconditioned one.
    const Tensor stored =
        to_tensor(file.get(!file.contains(name) && file.contains("model." + name) ? "model." + name : name)).to(tensor.scalar_type());
    if (stored.sizes() != tensor.sizes())
      throw DataError(file.path(), fmt::format("expected {} of shape {}, got {}", name, shape_to_string(tensor.sizes().vec()),
                                               shape_to_string(stored.sizes().vec())));
    if (!stored.isfinite().all().item<bool>()) throw DataError(file.path(), "expected finite values in " + name);
    tensor.copy_(stored);
  }
  module.eval();
}

double number(const SafetensorsFile& file, const std::string& key) {
  const std::string& text = file.metadata(key);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != '\0' || !(value > 0) || !std::isfinite(value))
    throw DataError(file.path(), "expected a number > 0 as metadata " + key + ", got " + text);
  return value;
}

/// The network that the file's architecture describes, with fresh weights.
template <class Module, class Config>
Module module_of(const SafetensorsFile& file) {
  try {
    return Module(Config::from_json(file.metadata("arch")));
  } catch (const InvalidArgument& e) {
    throw DataError(file.path(), e.what());
  }
}

/// D(x; sigma) = c_skip x + c_out F(c_in x; c_noise), arXiv 2206.00364, eq. 7.
class UNetDenoiser : public Network {
 public:
  UNetDenoiser(NetworkInfo info, SongUNet network, double sigma_data, torch::Device device)
      : Network(std::move(info)), network_(std::move(network)), sigma_data_(sigma_data), device_(device) {}

 protected:
  Tensor denoise_images(const Tensor& x, const Tensor& sigma) const override {
    const auto c = edm_preconditioning(sigma, sigma_data_);
    // forward is not const in libtorch, but changes nothing in evaluation mode.
    return c.c_skip * x + c.c_out * const_cast<SongUNetImpl&>(*network_).forward(c.c_in * x, c.c_noise.flatten());
  }
  torch::Device device() const override { return device_; }

 private:
  SongUNet network_;
  double sigma_data_;
  torch::Device device_;
};

}  // namespace

void save_unet(const std::string& path, SongUNet network, const UNetFileInfo& info) {
  save_module(path, *network,
              {{"arch", network->config().to_json()},
               {"prediction", "edm"},
               {"sigma_data", fmt::format("{}", info.sigma_data)},
               {"sigma_min", fmt::format("{}", info.sigma_min)},
               {"sigma_max", fmt::format("{}", info.sigma_max)},
               {"range", fmt::format("{},{}", info.range_low, info.range_high)}},
              info.training);
}

std::shared_ptr<Network> load_unet(const std::string& path, const LoadOptions& options) {
  const SafetensorsFile file(path);
  if (!file.metadata().contains("arch")) throw DataError(path, "expected a network: a safetensors file with metadata arch");
  auto network = module_of<SongUNet, SongUNetConfig>(file);
  load_module(file, *network);
  const std::string& range = file.metadata("range");
  double low = 0, high = 0;
  if (std::sscanf(range.c_str(), "%lf,%lf", &low, &high) != 2 || !(low < high))
    throw DataError(path, "expected metadata range as low,high, got " + range);
  NetworkInfo info{.path = path,
                   .kind = "unet",
                   .prediction = "edm",
                   .shape = network->config().shape,
                   .range_low = low,
                   .range_high = high,
                   .sigma_min = number(file, "sigma_min"),
                   .sigma_max = number(file, "sigma_max"),
                   .parameters = count_parameters(*network),
                   .sha256 = sha256_file(path),
                   .classes = network->config().label_dim,
                   .images = file.metadata().contains("train_images") ? static_cast<std::int64_t>(number(file, "train_images")) : 0};
  const torch::Device target = parse_device(options.device);
  network->to(target);
  network->set_compute_type(options.compute_type);
  return std::make_shared<UNetDenoiser>(std::move(info), network, number(file, "sigma_data"), target);
}

std::shared_ptr<Network> denoiser_of(SongUNet network, const UNetFileInfo& info) {
  NetworkInfo described{.kind = "unet",
                        .prediction = "edm",
                        .shape = network->config().shape,
                        .range_low = info.range_low,
                        .range_high = info.range_high,
                        .sigma_min = info.sigma_min,
                        .sigma_max = info.sigma_max,
                        .parameters = count_parameters(*network),
                        .classes = network->config().label_dim};
  return std::make_shared<UNetDenoiser>(std::move(described), network, info.sigma_data, torch::Device(torch::kCPU));
}

void save_classifier(const std::string& path, Classifier network, const Metadata& training) {
  save_module(path, *network, {{"arch", network->config().to_json()}}, training);
}

Classifier load_classifier(const std::string& path) {
  const SafetensorsFile file(path);
  if (!file.metadata().contains("arch")) throw DataError(path, "expected a classifier: a safetensors file with metadata arch");
  auto network = module_of<Classifier, ClassifierConfig>(file);
  load_module(file, *network);
  return network;
}

}  // namespace headstart
