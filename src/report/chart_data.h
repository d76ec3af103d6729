#pragma once
// The numbers behind the figures, as the page's script reads them.

#include <nlohmann/json.hpp>
#include <vector>

#include "groups.h"

namespace headstart {

/// {"runs": [...], "groups": [...], "spectra": [...]}; figures.js is the only reader.
nlohmann::ordered_json chart_data(const Report& report, const std::vector<ComparableRuns>& groups);

}  // namespace headstart
