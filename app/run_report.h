#pragma once
// From a run's folder and statistics files to the structs a report is made of.

#include <string>

#include "headstart/report/report.h"

namespace headstart::app {

/// A sampling run's folder: run.json, evaluate.json where there is one, and its first pictures.
/// @throws DataError where run.json is missing or is not what `sample` writes
SampleRun read_run(const std::string& folder);

/// A statistics file's spectrum.
Spectrum read_spectrum(const std::string& path);

/// "heun 18, to 19.4 (tail)": solver, steps and jump.
std::string run_label(const SampleRun& run);

/// The date as reports print it.
std::string today();

}  // namespace headstart::app
