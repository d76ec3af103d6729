#pragma once
// The options of --solver dpm_v3.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "sampling.h"

namespace headstart::app {

struct V3Options {
  std::string folder{};
  std::vector<double> range{};
};

/// Adds --v3_stats, --v3_range, --corrector and --pseudo_order.
void add_v3_options(CLI::App& verb, V3Options& v3, SolveOptions& solve);

/// Reads the statistics where the solver is dpm_v3. @throws InvalidArgument where these options and the solver do not go together,
/// DataError for what is wrong with the files
void read_v3(const V3Options& v3, const Model& model, SamplingOptions& sampling);

/// @throws InvalidArgument naming the option where a positive level is outside the statistics' range
void require_v3_range(const SamplingOptions& sampling, const std::vector<double>& sigmas);

/// What of them decides what a picture looks like.
void describe_v3(const SamplingOptions& sampling, nlohmann::ordered_json& json);

}  // namespace headstart::app
