#include "headstart/metrics/features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <functional>

#include "headstart/data/npz.h"
#include "headstart/data/sha256.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/nets/script.h"
#include "headstart/nets/unet_file.h"

namespace headstart {
namespace {

using torch::Tensor;

class Pixels : public FeatureSpace {
 public:
  std::string name() const override { return "pixels"; }
  std::string sha256() const override { return {}; }
  Tensor extract(const Tensor& images) const override { return images.flatten(1); }
};

/// A network from a file, applied in micro-batches.
class NetworkFeatures : public FeatureSpace {
 public:
  explicit NetworkFeatures(const std::string& path)
      : path_(path), name_(std::filesystem::path(path).stem().string()), sha256_(sha256_file(path)) {}
  std::string name() const override { return name_; }
  std::string sha256() const override { return sha256_; }

 protected:
  const std::string& path() const { return path_; }

  static Tensor in_pieces(const Tensor& images, const std::function<Tensor(const Tensor&)>& network) {
    const auto shape = images.sizes();
    return in_micro_batches(images.flatten(1), [&](const Tensor& rows) { return network(rows.view({-1, shape[1], shape[2], shape[3]})); });
  }

 private:
  std::string path_, name_, sha256_;
};

class ClassifierFeatures : public NetworkFeatures {
 public:
  ClassifierFeatures(const std::string& path, Classifier network) : NetworkFeatures(path), network_(std::move(network)) {}

  Tensor extract(const Tensor& images) const override {
    return in_pieces(images, [&](const Tensor& piece) { return const_cast<ClassifierImpl&>(*network_).features(piece); });
  }

 private:
  Classifier network_;
};

class ScriptFeatures : public NetworkFeatures {
 public:
  explicit ScriptFeatures(const std::string& path) : NetworkFeatures(path), module_(load_script(path)) {
    const auto forward = module_.find_method("forward");
    if (!forward) throw DataError(path, "expected a network with a method forward");
    has_return_features_ = forward->function().getSchema().argumentIndexWithName("return_features").has_value();
  }

  Tensor extract(const Tensor& images) const override {
    return in_pieces(to_pixels(images), [&](const Tensor& piece) {
      return call(piece.size(1) == 1 ? piece.repeat({1, 3, 1, 1}) : piece);  // grey as EDM's fid.py shows it
    });
  }

 private:
  /// Rounding what never was a pixel would hide that the samples were not written as pictures are.
  Tensor to_pixels(const Tensor& images) const {
    Tensor pixels = (images * 127.5F + 128).clamp(0, 255).to(torch::kUInt8);
    const Tensor error = (pixels.to(torch::kFloat32) / 127.5F - 1 - images).abs();
    constexpr double kSlack = 1e-5;  // other ways to write p / 127.5 - 1 in float32
    if (error.max().item<double>() > kSlack)
      throw InvalidArgument(fmt::format("{}: expected 8-bit images, which it is fed raw, got values that are no p / 127.5 - 1, such as {}",
                                        path(), images.flatten()[error.argmax()].item<double>()));
    return pixels;
  }

  Tensor call(const Tensor& pixels) const {
    const torch::jit::IValue out =
        call_script(path(), fmt::format("the network failed on uint8 [{}]", fmt::join(pixels.sizes(), ", ")), [&] {
          torch::jit::Kwargs options;
          if (has_return_features_) options["return_features"] = true;
          return module_.forward({pixels}, options);
        });
    const auto rows = pixels.size(0);
    if (!out.isTensor()) throw DataError(path(), fmt::format("expected features [{}, F], got a {}", rows, out.tagKind()));
    Tensor features = out.toTensor();
    if (features.dim() != 2 || features.size(0) != rows || features.size(1) < 1 || !features.is_floating_point())
      throw DataError(path(), fmt::format("expected features [{}, F] of floats, got {} [{}]", rows, c10::toString(features.scalar_type()),
                                          fmt::join(features.sizes(), ", ")));
    return features;
  }

  mutable torch::jit::Module module_;
  bool has_return_features_ = false;
};

}  // namespace

std::unique_ptr<FeatureSpace> open_features(const std::string& features, const ImageShape& shape) {
  if (features == "pixels") return std::make_unique<Pixels>();
  if (is_zip(features)) return std::make_unique<ScriptFeatures>(features);  // TorchScript is a zip archive
  Classifier network = load_classifier(features);
  if (network->config().shape != shape)
    throw InvalidArgument("--features: " + features + " expects images of shape " + to_string(network->config().shape) + ", got " +
                          to_string(shape));
  return std::make_unique<ClassifierFeatures>(features, network);
}

}  // namespace headstart
