#pragma once
// `fit --from_network`: what is learnt from a network itself.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli.h"
#include "headstart/calibrate/network_gaussian.h"

namespace headstart::app {

struct FromNetwork {
  std::string network{}, v3_folder{};
  std::int64_t v3_points = 256, v3_cells = 120;
  std::string grid_file{};
  std::vector<std::int64_t> grid_steps{5, 6, 7, 8, 9, 10, 12, 15, 18};
  NetworkGaussianOptions gaussian{};
  std::optional<double> sigma{};  ///< of the first passes; none: the library's, or half the network's largest level
};

/// What of `fit`'s own options counts here.
struct FromNetworkCommon {
  std::string data{}, as{}, out{};
  std::int64_t rank = 0;
  bool mean_tail = true;
  std::uint64_t seed = 0;
};

/// Adds --from_network and what belongs to it.
void add_from_network_options(CLI::App& verb, FromNetwork& options);

/// Writes the network's Gaussian to common.out, the statistics of DPM-Solver-v3 to --dpm_v3 and optimised grids to --grid_file, whichever
/// are given.
nlohmann::ordered_json fit_from_network(const FromNetwork& options, const FromNetworkCommon& common, const Cli& cli);

}  // namespace headstart::app
