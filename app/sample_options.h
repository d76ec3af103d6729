#pragma once
// The options of `sample` that decide what a picture looks like.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "auto_start.h"
#include "denoisers.h"
#include "sampling.h"
#include "v3_stats.h"

namespace headstart::app {

/// As they are on the command line.
struct SampleOptions {
  ModelOptions model{};
  std::string seeds = "0-63", denoise_to_zero = "on";
  std::string teleport = "off", mode = "tail", residual = "off", teleport_stats;
  std::string init, grid_file;
  double init_sigma = 0;
  std::vector<double> sigmas;
  SamplingOptions sampling{};
  V3Options v3{};
  AutoOptions automatic{};
  /// Whether they were given: defaults bend to what a network was trained on, levels asked for do not.
  CLI::Option *steps = nullptr, *rho = nullptr, *schedule = nullptr, *sigma_min = nullptr, *sigma_max = nullptr, *zero = nullptr,
              *mode_option = nullptr;
};

void add_sample_options(CLI::App& verb, SampleOptions& options);

/// The model the run is of. --class also selects among the statistics of a head start; see open_model.
Model open_sampled_model(const SampleOptions& options, const Cli& cli);

/// All but what is to be chosen (automatic_of).
/// @throws InvalidArgument naming the option that is wrong, or does not go with another
SamplingOptions sampling_of(const SampleOptions& options, const Model& model);

/// What `auto` asks for. @throws InvalidArgument where calibration options are given without it
AutoOptions automatic_of(const SampleOptions& options);

}  // namespace headstart::app
