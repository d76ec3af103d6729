#include "sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "html.h"
#include "spectra.h"

namespace headstart {
namespace {

std::string pairs_list(const ReportPairs& pairs) {
  std::string out = "<dl>";
  for (const auto& [name, value] : pairs) out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", html::escape(name), html::escape(value));
  return out + "</dl>";
}

/// Ranks that tell the shape of a spectrum in a few rows: 1, 2, 5, 10, ... and the last.
std::vector<std::int64_t> table_ranks(std::int64_t count) {
  std::vector<std::int64_t> ranks;
  for (std::int64_t decade = 1; decade <= count; decade *= 10) {
    for (const std::int64_t step : {1, 2, 5}) {
      if (decade * step < count) ranks.push_back(decade * step);
    }
  }
  ranks.push_back(count);
  return ranks;
}

std::string spectrum_table(const Spectrum& spectrum) {
  std::string rows;
  for (const std::int64_t rank : table_ranks(static_cast<std::int64_t>(spectrum.eigenvalues.size()))) {
    const double value = spectrum.eigenvalues[static_cast<std::size_t>(rank - 1)];
    rows +=
        fmt::format("<tr><th scope=\"row\" class=\"n\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                    html::count(rank), html::number(value), html::number(std::sqrt(std::max(value, 0.0))),
                    html::fixed(energy_share(spectrum, rank) * 100, 2) + "\u202f%");
  }
  return fmt::format(
      "<details><summary>Figure data: {}</summary><div class=\"scroll\"><table class=\"small\"><thead><tr><th scope=\"col\" "
      "class=\"n\">Rank</th>"
      "<th scope=\"col\" class=\"n\">Eigenvalue λ</th><th scope=\"col\" class=\"n\">σ = √λ</th><th scope=\"col\" class=\"n\">Cumulative "
      "energy</th>"
      "</tr></thead><tbody>{}</tbody></table></div></details>\n",
      html::escape(spectrum.name), rows);
}

std::string spectrum_facts(const Spectrum& spectrum) {
  const auto listed = static_cast<std::int64_t>(spectrum.eigenvalues.size());
  std::string out = fmt::format("<b>{}</b>: ", html::escape(spectrum.name));
  if (spectrum.shape.dim() > 0)
    out += fmt::format("{} × {} × {} pixels, ", spectrum.shape.channels, spectrum.shape.height, spectrum.shape.width);
  out += fmt::format("D = {}, {} eigenvalues", html::count(full_dim(spectrum)), html::count(listed));
  if (spectrum.count > 0) out += fmt::format(" from {} images", html::count(spectrum.count));
  if (listed < full_dim(spectrum)) out += fmt::format(", tail {}", html::number(spectrum.tail));
  const std::int64_t hidden = listed - drawable_count(spectrum);
  if (hidden > 0) out += fmt::format(" ({} below 10<sup>−7</sup> of the largest not drawn)", html::count(hidden));
  return out + ".";
}

/// What the jumps of this report mean for this spectrum. At most four, the rest is in the figure.
std::string skip_facts(const Spectrum& spectrum, const std::set<double, std::greater<>>& skips) {
  std::string out;
  int left = 4;
  for (const double sigma : skips) {
    if (left-- == 0) break;
    const std::int64_t modes = modes_above(spectrum, sigma);
    out += fmt::format("{}above σ = {} lie {} of {} modes ({}\u202f% of the variance)", out.empty() ? "" : "; ", html::number(sigma),
                       html::count(modes), html::count(full_dim(spectrum)), html::fixed(energy_share(spectrum, modes) * 100, 1));
  }
  return out.empty() ? "" : " Of this spectrum, " + out + ".";
}

}  // namespace

std::string mode_mark(const std::string& teleport) {
  return fmt::format("<svg class=\"mark {0}\" viewBox=\"0 0 12 12\" aria-hidden=\"true\"><use href=\"#mark-{0}\"/></svg>", teleport);
}

std::string mode_name(const std::string& teleport) { return teleport == "off" ? "unskipped" : teleport; }

std::string canvas(const std::string& id, const std::string& label, int height) {
  return fmt::format(
      "<div class=\"plot\" style=\"height:{}px\"><canvas id=\"{}\" tabindex=\"0\" role=\"application\" aria-roledescription=\"chart\" "
      "aria-label=\"{} Arrow keys move from point to point.\"></canvas></div>",
      height, id, html::escape(label));
}

std::string quality_section(const Report& report, const std::vector<ComparableRuns>& groups, Numbering& numbering) {
  std::string figures;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const ComparableRuns& group = groups[g];
    const std::vector<QualityPanel> panels = quality_panels(report, group, g);
    if (panels.empty()) continue;
    const bool several = panels.size() > 1;
    const bool intervals =
        std::any_of(group.runs.begin(), group.runs.end(), [&](std::size_t i) { return report.runs[i].frechet_interval.has_value(); });
    std::string drawings;
    for (const QualityPanel& panel : panels) {
      const std::string label = fmt::format("Fréchet distance against NFE, solver {}. The values are in Table 1.", panel.solver);
      if (several) drawings += fmt::format("<div><p class=\"panel\">{}</p>", html::escape(panel.solver));
      drawings += canvas(panel.id, label, several ? 330 : 420);
      if (several) drawings += "</div>";
    }
    if (several) drawings = fmt::format("<div class=\"pair panels\">{}</div>", drawings);
    figures += fmt::format(
        "<figure>{}<figcaption><b>Figure {}.</b> Fréchet distance against the number of network evaluations, in {} features, "
        "N\u00a0=\u00a0{}{}. "
        "Lines join the best run at each NFE.{}{} Point at a run for all its settings.</figcaption></figure>\n",
        drawings, ++numbering.figures, html::escape(group.features), html::count(group.frechet_num),
        group.reference.empty() ? "" : ", against " + html::escape(group.reference), intervals ? " Whiskers are bootstrap intervals." : "",
        several ? " One panel a solver, all with the same axes; the dotted line is the best that any solver reaches unskipped with at most "
                  "so many evaluations."
                : " Solver: " + html::escape(panels.front().solver) + ".");
  }
  if (figures.empty()) return "";
  return "<section id=\"quality\"><h2>Quality against cost</h2>\n" + figures + "</section>\n";
}

std::string grids_section(const Report& report, Numbering& numbering) {
  const auto rows = std::count_if(report.runs.begin(), report.runs.end(), [](const SampleRun& run) { return !run.sigmas.empty(); });
  if (rows == 0) return "";
  const bool jumps = std::any_of(report.runs.begin(), report.runs.end(), [](const SampleRun& run) { return run.teleport != "off"; });
  return fmt::format(
      "<section id=\"grids\"><h2>Noise levels</h2>\n<figure>{}<figcaption><b>Figure {}.</b> The noise levels σ at which each run evaluates "
      "the network, "
      "from the start on the left to the image on the right.{}</figcaption></figure></section>\n",
      canvas("grids-chart", "Noise levels of each run on a logarithmic axis. The numbers are listed with the settings of each run.",
             static_cast<int>(rows) * 40 + 76),
      ++numbering.figures,
      jumps ? " Hollow circles are levels of the plain grid that the closed-form jump (dashed) passes over without any evaluation." : "");
}

std::string spectrum_section(const Report& report, Numbering& numbering) {
  if (report.spectra.empty()) return "";
  std::set<double, std::greater<>> skips;
  for (const SampleRun& run : report.runs) {
    if (run.sigma_skip) skips.insert(*run.sigma_skip);
  }
  std::string facts;
  std::string tables;
  for (const Spectrum& spectrum : report.spectra) {
    facts += "<p>" + spectrum_facts(spectrum) + skip_facts(spectrum, skips) + "</p>\n";
    tables += spectrum_table(spectrum);
  }
  std::string pictures;
  for (const Spectrum& spectrum : report.spectra) pictures += modes_figure(spectrum, numbering);
  const int first = ++numbering.figures;
  const int second = ++numbering.figures;
  return fmt::format(
      "<section id=\"spectrum\"><h2>Spectrum of the Gaussian</h2>\n{}<div class=\"pair\">"
      "<figure>{}<figcaption><b>Figure {}.</b> Eigenvalues λ of the covariance by rank (left axis). A mode is decided around the noise "
      "level "
      "σ = √λ (right axis): large-variance features appear first. A dashed line is the tail, the variance of every direction that is not "
      "listed."
      "</figcaption></figure>\n"
      "<figure>{}<figcaption><b>Figure {}.</b> Cumulative energy: the share of the total variance in the leading directions, the tail "
      "counted."
      "</figcaption></figure></div>\n<div class=\"facts\">{}</div>{}</section>\n",
      pictures,
      canvas("spectrum-chart", "Eigenvalues by rank on logarithmic axes. Selected values are in the table below the figures.", 380), first,
      canvas("energy-chart", "Cumulative energy by rank. Selected values are in the table below the figures.", 380), second, facts, tables);
}

std::string settings_section(const Report& report) {
  if (report.runs.empty() && report.provenance.empty()) return "";
  std::string out = "<section id=\"settings\"><h2>Settings</h2>\n";
  if (!report.provenance.empty())
    out += "<details><summary>How this page was made</summary>" + pairs_list(report.provenance) + "</details>\n";
  for (const SampleRun& run : report.runs) {
    ReportPairs pairs = run_details(run);
    pairs.insert(pairs.end(), run.provenance.begin(), run.provenance.end());
    out += fmt::format("<details><summary>{}{}<small>{}, {} NFE</small></summary>{}</details>\n", mode_mark(run.teleport),
                       html::escape(run.label), html::escape(run.solver), run.nfe, pairs_list(pairs));
  }
  return out + "</section>\n";
}

std::string notes_section(const Report& report) {
  if (report.notes.empty()) return "";
  std::string out = "<section id=\"notes\"><h2>Notes</h2>\n";
  for (const auto& [name, text] : report.notes) out += fmt::format("<p><b>{}.</b> {}</p>\n", html::escape(name), html::escape(text));
  return out + "</section>\n";
}

}  // namespace headstart
