#include "headstart/nets/classifier.h"

#include <nlohmann/json.hpp>

#include "headstart/error.h"
#include "headstart/nets/norm_silu.h"

namespace headstart {

using torch::Tensor;

std::string ClassifierConfig::to_json() const {
  return nlohmann::json{{"type", "classifier"}, {"shape", {shape.channels, shape.height, shape.width}},
                        {"channels", channels}, {"features", features},
                        {"classes", classes},   {"groups", groups}}
      .dump();
}

ClassifierConfig ClassifierConfig::from_json(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    const auto& shape = json.at("shape");
    return {.shape = {shape.at(0), shape.at(1), shape.at(2)},
            .channels = json.at("channels"),
            .features = json.at("features"),
            .classes = json.at("classes"),
            .groups = json.at("groups")};
  } catch (const nlohmann::json::exception& e) {
    throw InvalidArgument(std::string("[ClassifierConfig::from_json] expected a classifier's configuration: ") + e.what());
  }
}

ClassifierImpl::ClassifierImpl(const ClassifierConfig& config) : config_(config) {
  const auto fail = [](const std::string& what) { throw InvalidArgument("[Classifier] " + what); };
  if (config.channels < 1 || config.features < 1 || config.classes < 1 || config.groups < 1 || config.shape.channels < 1)
    fail("expected positive channels, features, classes and groups");
  if (config.channels % config.groups != 0) fail("expected channels to be a multiple of groups");
  if (config.shape.height < 4 || config.shape.width < 4) fail("expected images of at least 4 x 4 pixels, got " + to_string(config.shape));
  std::int64_t in = config.shape.channels;
  for (const std::int64_t width : {config.channels, 2 * config.channels, 4 * config.channels}) {
    for (int i = 0; i < 2; ++i) {
      convolutions_->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, width, 3).padding(1)));
      norms_->push_back(torch::nn::GroupNorm(torch::nn::GroupNormOptions(config.groups, width)));
      in = width;
    }
  }
  register_module("convolutions", convolutions_);
  register_module("norms", norms_);
  feature_layer_ = register_module("feature_layer", torch::nn::Linear(in, config.features));
  read_out_ = register_module("read_out", torch::nn::Linear(config.features, config.classes));
}

Tensor ClassifierImpl::features(const Tensor& x) {
  Tensor h = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (std::size_t i = 0; i < convolutions_->size(); ++i) {
    if (i == 2 || i == 4) h = torch::max_pool2d(h, 2);
    const auto& norm = *norms_[i]->as<torch::nn::GroupNorm>();
    h = norm_silu(convolutions_[i]->as<torch::nn::Conv2d>()->forward(h), {config_.groups, norm.weight, norm.bias});
  }
  return feature_layer_(h.mean({2, 3}));
}

Tensor ClassifierImpl::forward(const Tensor& x) { return read_out_(torch::silu(features(x))); }

}  // namespace headstart
