#pragma once
// From a run's folder and statistics files to the structs a report is made of.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "headstart/moments/gaussian_stats.h"
#include "headstart/report/report.h"

namespace headstart::app {

/// A sampling run's folder: run.json, evaluate.json where there is one, and its first pictures.
/// @throws DataError where run.json is missing or is not what `sample` writes
SampleRun read_run(const std::string& folder);

/// What `sample --save_path` left in the folder, beside the path of the first of `stats` that has its shape; empty where it left nothing.
/// @throws DataError where the file is not what `sample` writes
std::vector<SamplingPath> read_paths(const std::string& folder, const std::vector<GaussianStats>& stats);

/// Eigenvalues, mean and leading eigenvectors.
Spectrum spectrum_of(const GaussianStats& stats, const std::string& name);

/// One sweep for each unskipped run of which there are teleported ones in tail mode: equal in all but the jump, seeds in common.
std::vector<SkipSweep> skip_sweeps(const std::vector<SampleRun>& runs);

/// The settings of a run (see `describe`) that have no field of their own in SampleRun.
ReportPairs settings_of(const nlohmann::ordered_json& described);

/// "heun 18, to 19.4 (tail)": solver, steps and jump.
std::string run_label(const SampleRun& run);

/// The date as reports print it.
std::string today();

}  // namespace headstart::app
