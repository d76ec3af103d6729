#pragma once
// Trained networks as denoisers: the project's own safetensors files and TorchScript files with a card.

#include <memory>
#include <string>
#include <vector>

#include "headstart/data/image_shape.h"
#include "headstart/denoise/denoiser.h"

namespace headstart {

struct NetworkInfo {
  std::string path{};
  std::string kind{};  ///< "unet" or "torchscript"
  std::string prediction{};
  ImageShape shape{};
  double range_low = -1, range_high = 1;  ///< of the data it was trained on
  double sigma_min = 0.002, sigma_max = 80;
  std::vector<double> table{};  ///< ascending: all its levels, where its schedule has steps
  std::int64_t parameters = 0;
  std::string sha256{};      ///< of the file
  std::int64_t classes = 0;  ///< > 0: it wants a class label as well
  std::int64_t images = 0;   ///< seen in training; 0 where the file does not say
};

/// A denoiser that came from a file. Calls run in micro-batches of one fixed shape, so a row's result depends on nothing but the row.
class Network : public Denoiser {
 public:
  explicit Network(NetworkInfo info) : info_(std::move(info)) {}
  const NetworkInfo& info() const { return info_; }
  std::int64_t dim() const override { return info_.shape.dim(); }

  /// What every evaluation begins with. To be called before work that would be lost.
  /// @throws InvalidArgument where the network wants a class: none can be named yet, and guessing one would give wrong pictures
  void require_no_classes() const;

 protected:
  /// D for one micro-batch: x [M, C, H, W] and sigma [M, 1, 1, 1], float32 on the network's device. Called from several threads at once.
  virtual torch::Tensor denoise_images(const torch::Tensor& x, const torch::Tensor& sigma) const = 0;
  virtual torch::Device device() const = 0;

 private:
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& sigma) const final;

  NetworkInfo info_;
};

/// "cpu" or "cuda[:i]". @throws InvalidArgument for anything else, and for a GPU that this machine does not have
torch::Device parse_device(const std::string& name);

/// Where a network computes, and in what.
struct LoadOptions {
  std::string device = "cpu";                        ///< or "cuda[:i]" (GPU runs are untested)
  torch::ScalarType compute_type = torch::kFloat32;  ///< of a U-Net's convolutions: float32 or bfloat16; see SongUNetImpl
};

/// torch's type for "fp32" or "bf16". @throws InvalidArgument for anything else
torch::ScalarType parse_precision(const std::string& name);

/// Loads a network, by content: safetensors with an `arch`, or TorchScript with a JSON card beside it (`name.pt.json`).
/// @throws DataError where a file is missing, unreadable or no network, or its card is wrong; InvalidArgument for an unknown device, and
///   for bfloat16 of a TorchScript file
std::shared_ptr<Network> load_network(const std::string& path, const LoadOptions& options = {});

}  // namespace headstart
