// Writes a report page with TEST DATA, for the browser test and for looking at the design: report_example OUT.html
// [example|hostile|solvers|bare]
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

#include "example_report.h"
#include "headstart/report/report.h"

namespace {

using headstart::Report;
using headstart::SampleRun;

/// Several solvers in one figure, two groups that must not be compared, a run without a distance.
Report solvers_report() {
  Report report = headstart::testing::example_report();
  double factor = 1;
  for (const char* solver : {"dpmpp_2m", "ipndm", "unipc_bh1"}) {
    factor *= 0.82;
    for (std::size_t i = 0; i < 11; ++i) {
      SampleRun run = report.runs[i];
      run.label.replace(0, 4, solver);
      run.solver = solver;
      run.nfe = static_cast<std::int64_t>(run.sigmas.size()) - 1;
      run.frechet = *run.frechet * factor + 3;
      run.frechet_interval.reset();
      run.thumbs.clear();
      run.paths.clear();
      report.runs.push_back(run);
    }
  }
  for (std::size_t i : {0U, 5U, 8U}) {
    SampleRun run = report.runs[i];
    run.label += ", pixels";
    run.features = "pixels";
    run.frechet_num = 10000;
    run.frechet = 180.0 + static_cast<double>(i);
    run.frechet_interval.reset();
    run.thumbs.clear();
    run.paths.clear();
    report.runs.push_back(run);
  }
  SampleRun unmeasured = headstart::testing::example_run("respaced", 12, 2.5, 1, 0);
  unmeasured.label = "Heun, 12 steps, respaced from 2.5";
  unmeasured.frechet.reset();
  unmeasured.frechet_interval.reset();
  report.runs.push_back(unmeasured);
  return report;
}

Report named_report(const std::string& name) {
  if (name == "example") return headstart::testing::example_report();
  if (name == "hostile") return headstart::testing::hostile_report();
  if (name == "solvers") return solvers_report();
  if (name == "bare") return Report{.title = "Nothing measured yet", .notes = {{"Note", "A report without runs and spectra."}}};
  throw std::invalid_argument("unknown report '" + name + "': expected example, hostile, solvers or bare");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) throw std::invalid_argument("usage: report_example OUT.html [example|hostile|solvers|bare]");
    std::ofstream out(argv[1], std::ios::binary);
    out << headstart::render_report(named_report(argc > 2 ? argv[2] : "example"));
    if (!out.flush()) throw std::runtime_error(std::string("cannot write ") + argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "report_example: %s\n", error.what());
    return 1;
  }
}
