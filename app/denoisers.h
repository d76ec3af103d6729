#pragma once
// Opening any denoiser a verb may be given: a network, a fitted file, the exact score of data, a smoothed one.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli.h"
#include "headstart/data/image_shape.h"
#include "headstart/denoise/denoiser.h"
#include "headstart/moments/mixture_stats.h"
#include "headstart/nets/network.h"

namespace headstart::app {

/// What denoises, and what is known of it.
struct Model {
  std::shared_ptr<const Denoiser> denoiser;
  std::string kind;    ///< the option it came by: network, stats, exact, smooth, isotropic
  std::string path;    ///< of the file, or the DATA
  std::string sha256;  ///< of the file, or of the values of the data
  ImageShape shape;
  double range_low = -1, range_high = 1, sigma_min = 0, sigma_max = 1e9;
  std::vector<double> table{};  ///< ascending: all its levels, where it is a network whose schedule has steps
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();  ///< the other options that its results depend on
};

/// The options that name a denoiser; exactly one of them is to be given.
struct ModelOptions {
  std::string network{}, stats{}, exact{}, isotropic{};
  std::string precision = "fp32";       ///< of a network: fp32, bf16
  std::vector<std::string> smooth{};    ///< KAPPA and DATA
  std::optional<std::int64_t> label{};  ///< of statistics: the components of this class only
  std::int64_t limit = 0;               ///< first data points only, for exact and smooth; 0: all
  std::int64_t smooth_draws = 8;
  std::uint64_t smooth_seed = 0;
  bool takes_isotropic = false;
};

/// Adds --network, --stats, --exact, --smooth and what belongs to them, and --isotropic where it is taken.
void add_model_options(CLI::App& verb, ModelOptions& options);

/// @throws InvalidArgument unless exactly one is named, and what opening that one throws
Model open_model(const ModelOptions& options, const Cli& cli, const std::string& verb);

/// @throws InvalidArgument where it wants classes; see load_network
Model open_network_model(const std::string& path, const LoadOptions& options);
/// A Gaussian or a mixture, or the part of it that belongs to one class.
/// @throws as load_class
Model open_stats_model(const std::string& path, std::optional<std::int64_t> label = {});
/// A Gaussian's denoiser for one component, a mixture's for more.
std::shared_ptr<const Denoiser> denoiser_of(const MixtureStats& stats);
/// A network that is open already.
Model model_of(std::shared_ptr<const Network> network);
/// The statistics in a file, or the part of them that belongs to one class. @throws InvalidArgument where it has no such class; see
/// load_mixture
MixtureStats load_class(const std::string& path, std::optional<std::int64_t> label);
/// The empirical score of DATA, with progress: in memory, or mapped where it is a plain float32 .npy.
/// @throws InvalidArgument where other data do not fit into memory; DataError for what is wrong with them (a NaN, for one)
Model open_exact_model(const std::string& data, std::int64_t limit, const Cli& cli);

}  // namespace headstart::app
