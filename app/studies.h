#pragma once
// From the tables of compare and trajectory to the studies that a report shows.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "headstart/report/report.h"

namespace headstart::app {

/// The studies in a JSON file that compare, trajectory or train --compare_every wrote.
/// @throws DataError where it is missing, no JSON, or none of these
std::vector<Study> read_studies(const std::string& path);

/// What each closed form explains over noise levels, one study a set of points; with several networks, also what they learned when.
std::vector<Study> comparison_studies(const nlohmann::ordered_json& comparison);

Study trajectory_study(const nlohmann::ordered_json& trajectory);

/// How the head start of a run was chosen. @param calibration  what choose_start returned
Study calibration_study(const nlohmann::ordered_json& calibration, const std::string& run);

/// That of a run's folder; nothing where its head start was not chosen.
std::optional<Study> read_calibration(const std::string& folder, const std::string& run);

}  // namespace headstart::app
