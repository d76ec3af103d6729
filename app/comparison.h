#pragma once
// The table behind `compare` and `train --compare_every`: closed forms beside a network, at noised images.

#include <torch/types.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "headstart/data/image_shape.h"
#include "headstart/data/image_stream.h"
#include "headstart/denoise/denoiser.h"
#include "headstart/moments/gaussian_stats.h"

namespace headstart::app {

/// Clean images, and what they are called in the table.
struct ComparedPoints {
  std::string name;     ///< "train" or "held_out"
  torch::Tensor clean;  ///< [B, D] float64
};

/// A closed form, or a network, under the name that its rows carry.
struct NamedDenoiser {
  std::string name;
  std::shared_ptr<const Denoiser> denoiser;
  nlohmann::ordered_json images{};  ///< of a network: how many it had seen; null where unknown
};

struct Comparison {
  std::vector<ComparedPoints> points;
  std::vector<NamedDenoiser> networks, models;
  std::vector<double> sigmas;
  ImageShape shape;
  std::int64_t seed = 0;         ///< of the noise, which is the same at every level and for every model: differences are theirs alone
  torch::Tensor basis{};         ///< [D, M] eigenmodes to list one by one; undefined: none
  std::function<void()> tick{};  ///< after each level; may throw to stop
};

/// `count` images of the stream at random (all of them where there are fewer), in its order: [n, D] float64.
torch::Tensor draw_images(ImageStream& stream, std::int64_t count, std::int64_t seed);

/// One row for each set of points, level, network and model: sigma, name, explained variances with intervals, residuals, and both mean
/// squared errors of the denoised estimates. The closed forms are computed once for all networks.
nlohmann::ordered_json comparison_rows(const Comparison& comparison);

/// The Gaussians that are made from a fitted one and are simpler: "mean" and "isotropic", and its leading `ranks` eigenvectors.
std::vector<NamedDenoiser> simpler_gaussians(const GaussianStats& stats, const std::string& name, bool isotropic,
                                             const std::vector<std::int64_t>& ranks);

}  // namespace headstart::app
