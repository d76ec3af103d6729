#include "chart_data.h"

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
  return {{"runs", runs}, {"groups", group_list}, {"spectra", spectra}};
}

}  // namespace headstart
