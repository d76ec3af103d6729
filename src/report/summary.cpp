// The table of runs, and what it can and cannot show.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "html.h"
#include "sections.h"

namespace headstart {
namespace {

/// Columns that only some reports need.
struct Columns {
  bool solver = false;  ///< not all runs have the same; the column is always there, except on phones
  bool frechet = false;
  bool twin = false;  ///< some teleported run has an unskipped run of the same NFE
  bool interval = false;
  bool seeds = false;  ///< left out where every run has the same: the heading of the group says which
  bool time = false;
  bool rate = false;
  std::vector<std::pair<std::string, int>> metrics;  ///< with the number of decimals

  int number() const { return 6 + frechet + interval + twin + seeds + time + rate + static_cast<int>(metrics.size()); }
};

/// Decimals that give the largest value of a column three digits or more.
int decimals_for(double value) {
  const double size = std::abs(value);
  return size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : size >= 0.001 ? 5 : 6;
}

Columns needed_columns(const Report& report, const std::vector<ComparableRuns>& groups) {
  Columns columns;
  columns.frechet = !groups.empty();
  for (const ComparableRuns& group : groups) {
    for (const std::size_t i : group.runs) columns.twin = columns.twin || unskipped_twin(report, group, i).has_value();
  }
  for (const SampleRun& run : report.runs) {
    columns.solver = columns.solver || run.solver != report.runs.front().solver;
    columns.interval = columns.interval || run.frechet_interval.has_value();
    columns.seeds = columns.seeds || run.seeds != report.runs.front().seeds || groups.empty();
    columns.time = columns.time || run.seconds > 0;
    columns.rate = columns.rate || run.images_per_second > 0;
    for (const auto& [name, value] : run.metrics) {
      auto found = std::find_if(columns.metrics.begin(), columns.metrics.end(), [&](const auto& metric) { return metric.first == name; });
      if (found == columns.metrics.end()) found = columns.metrics.insert(found, {name, 6});
      found->second = std::min(found->second, decimals_for(value));
    }
  }
  return columns;
}

/// One number of decimals for a whole group, so that its column lines up.
int frechet_decimals(const Report& report, const ComparableRuns& group) {
  double largest = 0;
  for (const std::size_t i : group.runs) largest = std::max(largest, *report.runs[i].frechet);
  return decimals_for(largest);
}

std::string cell(const std::string& text) {
  return fmt::format("<td class=\"n\">{}</td>", text.empty() ? "<span class=\"none\">–</span>" : text);
}

std::string frechet_cell(const SampleRun& run, const ComparableRuns& group, int decimals, bool best) {
  std::string text = html::fixed(*run.frechet, decimals);
  if (best) text = fmt::format("<strong>{}</strong><span class=\"sr\"> (lowest of this group)</span>", text);
  return fmt::format("<td class=\"n\" title=\"N = {}, {}\">{}</td>", html::count(group.frechet_num), html::escape(group.features), text);
}

std::string row(const Report& report, std::size_t index, const ComparableRuns* group, const Columns& columns) {
  const SampleRun& run = report.runs[index];
  const bool best = group != nullptr && group->runs.size() > 1 && group->best == index;
  // A phone has no room for the column of the solver: there it stands below the label, if the runs differ in it.
  const std::string narrow = columns.solver ? "<small class=\"narrow\">" + html::escape(run.solver) + "</small>" : "";
  std::string out = fmt::format("<tr{}><th scope=\"row\">{}{}</th><td class=\"solver\">{}</td><td class=\"mode\">{}<span>{}</span></td>",
                                best ? " class=\"best\"" : "", html::escape(run.label), narrow, html::escape(run.solver),
                                mode_mark(run.teleport), mode_name(run.teleport));
  out += cell(run.sigma_skip ? html::number(*run.sigma_skip) : "") + cell(std::to_string(run.steps)) + cell(std::to_string(run.nfe));
  if (columns.frechet) out += group == nullptr ? cell("") : frechet_cell(run, *group, frechet_decimals(report, *group), best);
  if (columns.interval) {
    const auto& interval = run.frechet_interval;
    const int decimals = group == nullptr ? 0 : frechet_decimals(report, *group);
    out += cell(interval ? html::fixed(interval->low, decimals) + "–" + html::fixed(interval->high, decimals) : "");
  }
  if (columns.twin) {
    const auto twin = group == nullptr ? std::nullopt : unskipped_twin(report, *group, index);
    const double before = twin ? *report.runs[*twin].frechet : 0;
    out += cell(before > 0 ? html::fixed((*run.frechet / before - 1) * 100, 1) + "\u202f%" : "");
  }
  for (const auto& [name, decimals] : columns.metrics) {
    const auto found =
        std::find_if(run.metrics.begin(), run.metrics.end(), [&name = name](const auto& metric) { return metric.first == name; });
    out += cell(found == run.metrics.end() ? "" : html::fixed(found->second, decimals));
  }
  if (columns.seeds) out += cell(html::escape(run.seeds));
  if (columns.time) out += cell(run.seconds > 0 ? html::fixed(run.seconds, 1) : "");
  if (columns.rate) out += cell(run.images_per_second > 0 ? html::fixed(run.images_per_second, run.images_per_second < 10 ? 2 : 1) : "");
  return out + "</tr>\n";
}

std::string head(const Columns& columns) {
  std::string out =
      "<thead><tr><th scope=\"col\">Run</th><th scope=\"col\" class=\"solver\">Solver</th><th scope=\"col\" "
      "class=\"mode\"><span>Teleport</span></th>"
      "<th scope=\"col\" class=\"n\">σ<sub>skip</sub></th><th scope=\"col\" class=\"n\">Steps</th><th scope=\"col\" class=\"n\">NFE</th>";
  if (columns.frechet) out += "<th scope=\"col\" class=\"n\">Fréchet distance</th>";
  if (columns.interval) out += "<th scope=\"col\" class=\"n\">Interval</th>";
  if (columns.twin) out += "<th scope=\"col\" class=\"n\">vs. unskipped, same NFE</th>";
  for (const auto& [name, decimals] : columns.metrics) out += fmt::format("<th scope=\"col\" class=\"n\">{}</th>", html::escape(name));
  if (columns.seeds) out += "<th scope=\"col\" class=\"n\">Seeds</th>";
  if (columns.time) out += "<th scope=\"col\" class=\"n\">Seconds</th>";
  if (columns.rate) out += "<th scope=\"col\" class=\"n\">Images/s</th>";
  return out + "</tr></thead>\n";
}

std::string group_title(const Report& report, const ComparableRuns& group, const Columns& columns) {
  std::string out =
      fmt::format("Fréchet distance in <b>{}</b> features, N\u00a0=\u00a0{}", html::escape(group.features), html::count(group.frechet_num));
  const std::string& seeds = report.runs[group.runs.front()].seeds;
  if (!columns.seeds && !seeds.empty()) out += ", seeds " + html::escape(seeds);
  if (!group.reference.empty()) out += ", against " + html::escape(group.reference);
  return out;
}

/// Says in words whether the rows hold what a fair reading of the teleported runs needs.
std::string baseline_note(const Report& report, const std::vector<ComparableRuns>& groups) {
  std::vector<std::string> alone;
  bool matched = false;
  for (const ComparableRuns& group : groups) {
    for (const std::size_t i : group.runs) {
      if (report.runs[i].teleport == "off") continue;
      if (unskipped_twin(report, group, i)) {
        matched = true;
      } else {
        alone.push_back(html::escape(report.runs[i].label));
      }
    }
  }
  if (!matched && alone.empty()) return "";
  std::string out = "<p class=\"note\"><b>Honest baselines.</b> A jump saves evaluations, but so does taking fewer steps. ";
  if (matched) {
    out +=
        "Unskipped runs with fewer steps are therefore among the rows, and “vs. unskipped” compares a teleported run with the unskipped "
        "run of the same solver and the same NFE. A negative number is a gain. ";
  }
  if (!alone.empty()) {
    out += "No unskipped run of the same solver and NFE was measured for ";
    constexpr std::size_t kNamed = 4;
    if (alone.size() > kNamed) {
      const std::string rest = fmt::format("{} others", alone.size() - kNamed + 1);
      alone.resize(kNamed - 1);
      alone.push_back(rest);
    }
    for (std::size_t i = 0; i < alone.size(); ++i)
      out += (i == 0 ? "" : i + 1 == alone.size() ? " and " : ", ") + ("<i>" + alone[i] + "</i>");
    out += ": what such a run gained by its jump cannot be read from this table.";
  }
  return out + "</p>\n";
}

/// For a reader who was sent the page and nothing else.
constexpr const char* kTerms =
    "<details class=\"terms\"><summary>What the words mean</summary><dl>"
    "<div><dt>σ</dt><dd>Noise level in data units (black is −1, white is 1). Sampling starts at the largest σ, where the picture is all "
    "noise, and follows it down to 0.</dd></div>"
    "<div><dt>jump, σ<sub>skip</sub></dt><dd>While σ is large, the network does little more than a Gaussian with the data’s mean and "
    "covariance would, and for a Gaussian the path is a formula. The jump (analytical teleportation) takes the noise from the largest σ to "
    "σ<sub>skip</sub> by that formula; the network does the rest.</dd></div>"
    "<div><dt>tail</dt><dd>The jump lands on a level of the run’s own grid and the rest of the grid is kept: evaluations are "
    "saved.</dd></div>"
    "<div><dt>respaced</dt><dd>As many steps as before are laid below the jump: quality is gained at equal cost.</dd></div>"
    "<div><dt>replace</dt><dd>No jump: the whole grid is kept, and above σ<sub>skip</sub> the Gaussian takes the network’s "
    "place.</dd></div>"
    "<div><dt>NFE</dt><dd>Network evaluations a sample, counted: what a sample costs.</dd></div>"
    "{}</dl></details>\n";
constexpr const char* kFrechetTerm =
    "<div><dt>Fréchet distance</dt><dd>Between Gaussians fitted to the features of the samples and of the reference; 0 is equal. It "
    "depends on the features and on the number of samples N.</dd></div>";

}  // namespace

std::string summary_section(const Report& report, const std::vector<ComparableRuns>& groups, Numbering& numbering) {
  if (report.runs.empty()) return "";
  const Columns columns = needed_columns(report, groups);
  std::string body = head(columns);
  const bool unmeasured = std::any_of(report.runs.begin(), report.runs.end(), [](const SampleRun& run) { return !run.frechet; });
  const auto open_group = [&](const std::string& title) {
    return fmt::format("<tbody><tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\"><span>{}</span></th></tr>\n", columns.number(),
                       title);
  };
  for (const ComparableRuns& group : groups) {
    body += open_group(group_title(report, group, columns));
    for (const std::size_t i : group.runs) body += row(report, i, &group, columns);
    body += "</tbody>\n";
  }
  if (unmeasured) {
    body += groups.empty() ? "<tbody>\n" : open_group("Fréchet distance not measured");
    for (std::size_t i = 0; i < report.runs.size(); ++i) {
      if (!report.runs[i].frechet) body += row(report, i, nullptr, columns);
    }
    body += "</tbody>\n";
  }
  std::string caption = fmt::format("<b>Table {}.</b> The runs. NFE is the number of network evaluations a sample.", ++numbering.tables);
  if (columns.frechet) {
    caption +=
        " Lower distances are better; the lowest of each group is in bold. Distances with another N, features or reference cannot be "
        "compared.";
    if (columns.interval) caption += " Where two bootstrap intervals overlap, the order of the runs is not established.";
  }
  return fmt::format(
      "<section id=\"summary\"><h2>Runs</h2>\n<figure><figcaption id=\"summary-caption\">{}</figcaption>\n"
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"summary-caption\">"
      "<table class=\"runs\">{}</table></div></figure>\n"
      "{}{}</section>\n",
      caption, body, baseline_note(report, groups), fmt::format(kTerms, columns.frechet ? kFrechetTerm : ""));
}

}  // namespace headstart
