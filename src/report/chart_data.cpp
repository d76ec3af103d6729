#include "chart_data.h"

#include <cmath>

#include "sections.h"
#include "spectra.h"

namespace headstart {
namespace {

using Json = nlohmann::ordered_json;

Json run_json(const SampleRun& run) {
  Json details = Json::array();
  for (const auto& [name, value] : run_details(run)) details.push_back({name, value});
  Json out = {{"label", run.label},   {"solver", run.solver},          {"teleport", run.teleport}, {"nfe", run.nfe},
              {"sigmas", run.sigmas}, {"skipped", run.skipped_sigmas}, {"details", details}};
  if (run.frechet) out["frechet"] = *run.frechet;
  if (run.frechet_interval) out["interval"] = {run.frechet_interval->low, run.frechet_interval->high};
  return out;
}

Json spectrum_json(const Spectrum& spectrum) {
  Json values = Json::array();
  for (const std::int64_t rank : drawn_ranks(drawable_count(spectrum))) {
    values.push_back({rank, spectrum.eigenvalues[static_cast<std::size_t>(rank - 1)]});
  }
  // One running sum: energy_share() from scratch at every rank would be quadratic in a large spectrum.
  const double total = total_variance(spectrum);
  const auto listed = static_cast<std::int64_t>(spectrum.eigenvalues.size());
  Json energy = Json::array();
  double sum = 0;
  std::int64_t at = 0;
  for (const std::int64_t rank : drawn_ranks(full_dim(spectrum))) {
    for (; at < rank; ++at) sum += at < listed ? spectrum.eigenvalues[static_cast<std::size_t>(at)] : spectrum.tail;
    energy.push_back({rank, sum / total});
  }
  Json out = {{"name", spectrum.name}, {"dim", full_dim(spectrum)}, {"listed", listed}, {"values", values}, {"energy", energy}};
  if (listed < full_dim(spectrum) && spectrum.tail > 0) out["tail"] = spectrum.tail;
  return out;
}

/// [x, y] or [x, y, low, high] of each point that the axes can show.
Json curve_json(const Curve& curve, const LineChart& chart) {
  Json points = Json::array();
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    const double x = curve.x[i], y = curve.y[i];
    if (!std::isfinite(y) || (chart.log_x && x <= 0) || (chart.log_y && y <= 0)) continue;
    Json point = {x, y};
    if (!curve.intervals.empty() && (!chart.log_y || curve.intervals[i].low > 0)) {
      point.push_back(curve.intervals[i].low);
      point.push_back(curve.intervals[i].high);
    }
    points.push_back(point);
  }
  return {{"name", curve.name}, {"prediction", curve.prediction}, {"points", points}};
}

Json line_json(const LineChart& chart, const std::string& id) {
  Json curves = Json::array();
  for (const Curve& curve : chart.curves) curves.push_back(curve_json(curve, chart));
  return {{"id", id},        {"x_label", chart.x_label}, {"y_label", chart.y_label}, {"log_x", chart.log_x}, {"log_y", chart.log_y},
          {"curves", curves}};
}

}  // namespace

nlohmann::ordered_json chart_data(const Report& report, const std::vector<ComparableRuns>& groups) {
  Json runs = Json::array();
  for (const SampleRun& run : report.runs) runs.push_back(run_json(run));
  Json group_list = Json::array();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    Json panels = Json::array();
    for (const QualityPanel& panel : quality_panels(report, groups[g], g)) panels.push_back({{"id", panel.id}, {"runs", panel.runs}});
    group_list.push_back({{"runs", groups[g].runs}, {"panels", panels}});
  }
  Json spectra = Json::array();
  for (const Spectrum& spectrum : report.spectra) spectra.push_back(spectrum_json(spectrum));
  Json lines = Json::array();
  for (std::size_t i = 0; i < report.studies.size(); ++i) {
    const auto& charts = report.studies[i].charts;
    for (std::size_t c = 0; c < charts.size(); ++c) lines.push_back(line_json(charts[c], study_chart_id(i, c)));
  }
  return {{"runs", runs}, {"groups", group_list}, {"spectra", spectra}, {"lines", lines}};
}

}  // namespace headstart
