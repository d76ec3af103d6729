#include "headstart/report/report.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <set>

#include "cli.h"
#include "headstart/data/atomic_file.h"
#include "headstart/data/sha256.h"
#include "run_report.h"
#include "studies.h"
#include "version.h"

namespace headstart::app {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string out, title = "headstart report";
};

nlohmann::ordered_json report_verb(const Options& o, const Cli& cli) {
  Report report{.title = o.title, .date = today(), .version = version_number()};
  report.provenance = {{"command", command_line()}, {"program", version()}};
  std::vector<GaussianStats> stats;
  for (const auto& input : o.runs) {
    if (std::filesystem::is_directory(input)) continue;
    if (input.ends_with(".json")) {
      for (auto& study : read_studies(input)) report.studies.push_back(std::move(study));
      continue;
    }
    stats.push_back(load_stats(input));
    report.spectra.push_back(spectrum_of(stats.back(), std::filesystem::path(input).stem().string()));
    report.provenance.emplace_back(input + ", sha256", sha256_file(input));
    report.provenance.emplace_back(input + ", sha256 of its data", stats.back().data_sha256);
  }
  std::set<std::string> labels;
  for (const auto& input : o.runs) {
    if (!std::filesystem::is_directory(input)) continue;
    SampleRun run = read_run(input);
    run.paths = read_paths(input, stats);
    if (!labels.insert(run.label).second) run.label += " (" + input + ")";  // equal settings, another folder
    labels.insert(run.label);
    if (auto study = read_calibration(input, run.label)) report.studies.push_back(std::move(*study));
    report.runs.push_back(std::move(run));
  }
  report.sweeps = skip_sweeps(report.runs);
  write_file_atomically(o.out, render_report(report));
  say(cli, fmt::format("{}: {} runs, {} spectra, {} studies", o.out, report.runs.size(), report.spectra.size(), report.studies.size()));
  nlohmann::ordered_json json;
  json["out"] = o.out;
  json["runs"] = report.runs.size();
  json["spectra"] = report.spectra.size();
  json["studies"] = report.studies.size();
  return json;
}

}  // namespace

void add_report(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "report", "One self-contained HTML page of sampling runs, fitted statistics and studies.",
                        [o](const Cli& c) { return report_verb(*o, c); });
  verb->add_option("runs", o->runs,
                   "folders that sample wrote (with evaluate's result in them), statistics files, JSON files of compare and trajectory")
      ->required();
  verb->add_option("--out", o->out, "HTML file to write")->required();
  verb->add_option("--title", o->title, "title of the page")->capture_default_str();
}

}  // namespace headstart::app
