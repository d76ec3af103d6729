#pragma once
// Which runs may be compared: a Frechet distance means something only beside others of the same features, number and reference.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "headstart/report/report.h"

namespace headstart {

/// Runs whose distances may be compared, in the order of the report.
struct ComparableRuns {
  std::string features;
  std::int64_t frechet_num = 0;
  std::string reference;
  std::vector<std::size_t> runs;  ///< indices into Report::runs
  std::size_t best = 0;           ///< the run with the lowest distance
};

/// One drawing of a quality figure: the runs of one solver. Four solvers with three modes each in one drawing could not be told apart.
struct QualityPanel {
  std::string id;  ///< of its canvas
  std::string solver;
  std::vector<std::size_t> runs;
};

/// The panels of group number `number`, one a solver in order of first appearance; none for a group of one run.
std::vector<QualityPanel> quality_panels(const Report& report, const ComparableRuns& group, std::size_t number);

/// The groups in order of first appearance. Runs without a distance are in none.
std::vector<ComparableRuns> comparable_runs(const Report& report);

/// The best unskipped run of the same group, solver and NFE as the teleported run `index`; empty where none was measured.
std::optional<std::size_t> unskipped_twin(const Report& report, const ComparableRuns& group, std::size_t index);

/// Every setting of a run as it is printed in tooltips and in the list of settings.
ReportPairs run_details(const SampleRun& run);

}  // namespace headstart
