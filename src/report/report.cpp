#include "headstart/report/report.h"

#include <fmt/format.h>

#include "assets.h"
#include "chart_data.h"
#include "html.h"
#include "sections.h"
#include "validate.h"

namespace headstart {
namespace {

std::string contents(const std::vector<std::pair<std::string_view, const std::string*>>& sections) {
  std::string out;
  for (const auto& [name, body] : sections) {
    if (body->empty()) continue;
    const std::size_t id = body->find("id=\"") + 4;
    out += fmt::format("<li><a href=\"#{}\">{}</a></li>", body->substr(id, body->find('"', id) - id), html::escape(name));
  }
  return out;
}

std::string byline(const Report& report) {
  std::string out = html::escape(report.date);
  if (!report.version.empty()) out += fmt::format("{}headstart {}", out.empty() ? "" : " · ", html::escape(report.version));
  return out.empty() ? "" : "<p class=\"byline\">" + out + "</p>";
}

}  // namespace

std::string render_report(const Report& report) {
  validate(report);
  const std::vector<ComparableRuns> groups = comparable_runs(report);
  Numbering numbering;
  const std::string summary = summary_section(report, groups, numbering);
  const std::string quality = quality_section(report, groups, numbering);
  const std::string samples = samples_section(report, numbering);
  const std::string sweep = sweep_section(report, numbering);
  const std::string paths = paths_section(report, numbering);
  const std::string grids = grids_section(report, numbering);
  const std::string spectrum = spectrum_section(report, numbering);
  std::vector<std::string> studies;
  for (std::size_t i = 0; i < report.studies.size(); ++i) studies.push_back(study_section(report, i, numbering));
  const std::string notes = notes_section(report);
  const std::string settings = settings_section(report);
  std::vector<std::pair<std::string_view, const std::string*>> sections{
      {"Runs", &summary},           {"Quality", &quality},    {"Samples", &samples},  {"Jump by jump", &sweep},
      {"Noise to picture", &paths}, {"Noise levels", &grids}, {"Spectrum", &spectrum}};
  for (std::size_t i = 0; i < studies.size(); ++i) sections.emplace_back(report.studies[i].heading, &studies[i]);
  sections.insert(sections.end(), {{"Notes", &notes}, {"Settings", &settings}});
  std::string bodies;
  for (const auto& [name, body] : sections) bodies += *body;
  return html::fill(assets::page_html(),
                    {{"title", html::escape(report.title)},
                     {"subtitle", report.subtitle.empty() ? "" : "<p class=\"subtitle\">" + html::escape(report.subtitle) + "</p>"},
                     {"byline", byline(report)},
                     {"contents", contents(sections)},
                     {"sections", bodies},
                     {"css", std::string(assets::page_css())},
                     {"data", html::script_json(chart_data(report, groups))},
                     {"chart_js", std::string(assets::chart_js())},
                     {"charts_js", std::string(assets::charts_js())},
                     {"studies_js", std::string(assets::studies_js())},
                     {"figures_js", std::string(assets::figures_js())},
                     {"sweep_js", std::string(assets::sweep_js())},
                     {"page_js", std::string(assets::page_js())}});
}

}  // namespace headstart
