#include <fmt/format.h>

#include "html.h"
#include "sections.h"

namespace headstart {
namespace {

/// Curves as a table, for readers without scripts and for those who want the numbers.
std::string chart_table(const LineChart& chart) {
  std::string rows;
  for (const Curve& curve : chart.curves) {
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      const std::string interval =
          curve.intervals.empty() ? "" : html::number(curve.intervals[i].low) + " to " + html::number(curve.intervals[i].high);
      rows += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                          html::escape(curve.name), html::number(curve.x[i]), html::number(curve.y[i]), interval);
    }
  }
  return fmt::format(
      "<details><summary>Figure data</summary><div class=\"scroll\"><table class=\"small\"><thead><tr><th scope=\"col\"></th>"
      "<th scope=\"col\" class=\"n\">{}</th><th scope=\"col\" class=\"n\">{}</th><th scope=\"col\" class=\"n\">Interval</th></tr></thead>"
      "<tbody>{}</tbody></table></div></details>",
      html::escape(chart.x_label), html::escape(chart.y_label), rows);
}

std::string chart_figure(const LineChart& chart, const std::string& id, Numbering& numbering) {
  const std::string label = fmt::format("{}: {} against {}. The values are in the table below.", chart.title, chart.y_label, chart.x_label);
  return fmt::format("<figure>{}<figcaption><b>Figure {}.</b> {}{}</figcaption>{}</figure>\n", canvas(id, label, 380), ++numbering.figures,
                     chart.title.empty() ? "" : html::escape(chart.title) + ". ", html::escape(chart.caption), chart_table(chart));
}

std::string table_figure(const ReportTable& table, Numbering& numbering) {
  std::string head;
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    head += fmt::format("<th scope=\"col\"{}>{}</th>", i > 0 ? " class=\"n\"" : "", html::escape(table.columns[i]));
  std::string rows;
  for (const auto& row : table.rows) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", html::escape(row.front()));
    for (std::size_t i = 1; i < row.size(); ++i) rows += fmt::format("<td class=\"n\">{}</td>", html::escape(row[i]));
    rows += "</tr>\n";
  }
  return fmt::format(
      "<figure><figcaption><b>Table {}.</b> {}</figcaption><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Table {}\">"
      "<table class=\"runs\"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></figure>\n",
      numbering.tables + 1, html::escape(table.caption), numbering.tables + 1, head, rows);
}

}  // namespace

std::string study_chart_id(std::size_t study, std::size_t chart) { return fmt::format("study-{}-{}", study, chart); }

std::string study_section(const Report& report, std::size_t index, Numbering& numbering) {
  const Study& study = report.studies[index];
  std::string body;
  for (const std::string& fact : study.facts) body += "<p>" + html::escape(fact) + "</p>\n";
  if (!body.empty()) body = "<div class=\"facts\">" + body + "</div>\n";
  std::string charts;
  for (std::size_t c = 0; c < study.charts.size(); ++c) charts += chart_figure(study.charts[c], study_chart_id(index, c), numbering);
  if (study.charts.size() > 1) charts = "<div class=\"pair panels\">" + charts + "</div>\n";
  body += charts;
  for (const ReportTable& table : study.tables) {
    body += table_figure(table, numbering);
    ++numbering.tables;
  }
  return fmt::format("<section id=\"study-{}\"><h2>{}</h2>\n{}</section>\n", index, html::escape(study.heading), body);
}

}  // namespace headstart
