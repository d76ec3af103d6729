#include "groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "html.h"

namespace headstart {
namespace {

std::string list(const std::vector<double>& sigmas) {
  std::string out;
  for (const double sigma : sigmas) out += (out.empty() ? "" : ", ") + html::number(sigma);
  return out;
}

}  // namespace

std::vector<ComparableRuns> comparable_runs(const Report& report) {
  std::vector<ComparableRuns> groups;
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    const SampleRun& run = report.runs[i];
    if (!run.frechet) continue;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const ComparableRuns& g) {
      return g.features == run.features && g.frechet_num == run.frechet_num && g.reference == run.reference;
    });
    if (group == groups.end()) {
      groups.push_back({.features = run.features, .frechet_num = run.frechet_num, .reference = run.reference, .runs = {}, .best = i});
      group = groups.end() - 1;
    }
    group->runs.push_back(i);
    if (*run.frechet < *report.runs[group->best].frechet) group->best = i;
  }
  return groups;
}

std::vector<QualityPanel> quality_panels(const Report& report, const ComparableRuns& group, std::size_t number) {
  std::vector<QualityPanel> panels;
  if (group.runs.size() < 2) return panels;
  for (const std::size_t i : group.runs) {
    const std::string& solver = report.runs[i].solver;
    auto panel = std::find_if(panels.begin(), panels.end(), [&](const QualityPanel& p) { return p.solver == solver; });
    if (panel == panels.end()) {
      panel = panels.insert(panel, {.id = fmt::format("quality-{}-{}", number, panels.size()), .solver = solver, .runs = {}});
    }
    panel->runs.push_back(i);
  }
  return panels;
}

std::optional<std::size_t> unskipped_twin(const Report& report, const ComparableRuns& group, std::size_t index) {
  const SampleRun& run = report.runs[index];
  std::optional<std::size_t> twin;
  if (run.teleport == "off") return twin;
  for (const std::size_t i : group.runs) {
    const SampleRun& other = report.runs[i];
    if (other.teleport != "off" || other.solver != run.solver || other.nfe != run.nfe) continue;
    if (!twin || *other.frechet < *report.runs[*twin].frechet) twin = i;
  }
  return twin;
}

ReportPairs run_details(const SampleRun& run) {
  ReportPairs details = {{"solver", run.solver}, {"teleport", run.teleport}};
  if (run.sigma_skip) details.emplace_back("sigma_skip", html::number(*run.sigma_skip));
  details.emplace_back("NFE", std::to_string(run.nfe));
  details.emplace_back("steps", std::to_string(run.steps));
  if (run.frechet) {
    std::string value = html::number(*run.frechet);
    if (run.frechet_interval) {
      value += fmt::format(" [{}, {}]", html::number(run.frechet_interval->low), html::number(run.frechet_interval->high));
    }
    details.emplace_back("Fréchet distance", value);
    details.emplace_back("features", run.features);
    details.emplace_back("N", html::count(run.frechet_num));
    if (!run.reference.empty()) details.emplace_back("reference", run.reference);
  }
  for (const auto& [name, value] : run.metrics) details.emplace_back(name, html::number(value));
  details.emplace_back("samples", html::count(run.count));
  if (!run.seeds.empty()) details.emplace_back("seeds", run.seeds);
  if (run.seconds > 0) details.emplace_back("seconds", html::number(run.seconds));
  if (run.images_per_second > 0) details.emplace_back("images/s", html::number(run.images_per_second));
  details.insert(details.end(), run.settings.begin(), run.settings.end());
  if (!run.sigmas.empty()) details.emplace_back("sigmas", list(run.sigmas));
  if (!run.skipped_sigmas.empty()) details.emplace_back("jumped over", list(run.skipped_sigmas));
  return details;
}

}  // namespace headstart
