#pragma once
// --teleport auto and --residual auto: a head start chosen on a small batch, kept beside the statistics.

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "cli.h"
#include "sampling.h"

namespace headstart::app {

struct AutoOptions {
  bool teleport = false, residual = false;  ///< what is to be chosen
  TeleportMode mode = TeleportMode::tail;
  std::string data{};  ///< held-out images; empty: none at hand
  std::string file{};  ///< where choices are kept; empty: beside the statistics
};

/// Adds --calibration_data and --calibration_file.
void add_auto_options(CLI::App& verb, AutoOptions& options);

/// Sets sampling.teleport and sampling.residual where they are to be chosen, or leaves them empty where no head start ends nearer to the
/// accurately integrated paths of 64 seeds that no run uses by default. With data, the reference starts from the closed form down to where
/// that denoises them as well as the model. A choice made before for the same model, statistics, solver, grid and data is taken from the
/// file.
/// @return what run.json and --json say of it: sigma_skip, sigma_c, trials, denoising errors, evaluations, seconds, file, from_file
/// @throws InvalidArgument where the run adds noise or starts from pictures, or there are no statistics; DataError for what is wrong with
/// data or file
nlohmann::ordered_json choose_start(SamplingOptions& sampling, const Model& model, const AutoOptions& options, const Cli& cli);

}  // namespace headstart::app
