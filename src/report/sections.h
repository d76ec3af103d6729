#pragma once
// The page's sections as HTML. Each is an empty string where its data are missing.

#include <cstddef>
#include <string>
#include <vector>

#include "groups.h"

namespace headstart {

/// Tables and figures are numbered in the order in which they are made.
struct Numbering {
  int tables = 0;
  int figures = 0;
};

std::string summary_section(const Report& report, const std::vector<ComparableRuns>& groups, Numbering& numbering);
std::string quality_section(const Report& report, const std::vector<ComparableRuns>& groups, Numbering& numbering);
std::string samples_section(const Report& report, Numbering& numbering);
std::string sweep_section(const Report& report, Numbering& numbering);
std::string paths_section(const Report& report, Numbering& numbering);
std::string grids_section(const Report& report, Numbering& numbering);
std::string spectrum_section(const Report& report, Numbering& numbering);
std::string study_section(const Report& report, std::size_t index, Numbering& numbering);
std::string settings_section(const Report& report);
std::string notes_section(const Report& report);

/// The id of a study's chart, which its canvas and its data carry.
std::string study_chart_id(std::size_t study, std::size_t chart);

/// The mean and the leading eigenvectors as pictures; empty where the spectrum has none. Part of spectrum_section.
std::string modes_figure(const Spectrum& spectrum, Numbering& numbering);

/// The mark of a teleport mode, drawn as in the figures; hidden from screen readers because the word stands beside it.
std::string mode_mark(const std::string& teleport);

/// "unskipped", "tail" or "respaced".
std::string mode_name(const std::string& teleport);

/// One drawing area with its accessible name. `id` is what figures.js looks for.
std::string canvas(const std::string& id, const std::string& label, int height);

}  // namespace headstart
