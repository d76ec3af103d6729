#include "schedules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "headstart/error.h"
#include "headstart/nets/schedule.h"

namespace headstart::app {
namespace {

using Levels = std::function<std::vector<double>(const KarrasOptions&, const std::vector<double>& table)>;

Spacing time_of(const Schedule& schedule) { return {.to_time = schedule.to_time, .to_sigma = schedule.to_sigma}; }

Levels spaced(Spacing spacing) {
  return [s = std::move(spacing)](const KarrasOptions& o, const auto&) { return spaced_sigmas(s, o); };
}

/// DDPM's 1000 levels (arXiv 2006.11239).
std::vector<double> ddpm_table() {
  const Schedule schedule = vp_linear(1e-4, 0.02, 1000);
  std::vector<double> table;
  for (std::int64_t i = 0; i < schedule.steps; ++i) table.push_back(schedule.to_sigma(static_cast<double>(i)));
  return table;
}

/// Those of a table within the range.
Levels tabulated(TableSpacing spacing) {
  return [spacing](const KarrasOptions& o, const std::vector<double>& own) {
    std::vector<double> table = own.empty() ? ddpm_table() : own;
    constexpr double kSlack = 1e-9;  // ends of the range that came from the table went through text
    std::erase_if(table, [&](double sigma) { return sigma < o.sigma_min * (1 - kSlack) || sigma > o.sigma_max * (1 + kSlack); });
    if (o.steps > std::ssize(table))
      throw InvalidArgument(fmt::format("--steps: expected at most {}, the levels of {} between {} and {}, got {}", table.size(),
                                        own.empty() ? "DDPM" : "the network", o.sigma_min, o.sigma_max, o.steps));
    return table_sigmas(table, o.steps, spacing, o.final_zero);
  };
}

const std::vector<std::pair<std::string, Levels>>& schedules() {
  static const std::vector<std::pair<std::string, Levels>> all{{"karras", [](const auto& o, const auto&) { return karras_sigmas(o); }},
                                                               {"log", spaced(log_spacing())},
                                                               {"linear", spaced(time_of(vp_continuous(0.1, 20)))},
                                                               {"quadratic", spaced(quadratic(time_of(vp_continuous(0.1, 20))))},
                                                               {"cosine", spaced(time_of(cosine(0.008)))},
                                                               {"flow", spaced(time_of(flow_schedule()))},
                                                               {"ddpm_leading", tabulated(TableSpacing::leading)},
                                                               {"ddpm_trailing", tabulated(TableSpacing::trailing)}};
  return all;
}

}  // namespace

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const auto& [name, levels] : schedules()) names.push_back(name);
  return names;
}

std::vector<double> grid_of(const std::string& schedule, const KarrasOptions& options, const std::vector<double>& table) {
  const auto found = std::ranges::find(schedules(), schedule, [](const auto& entry) { return entry.first; });
  if (found == schedules().end())
    throw InvalidArgument(fmt::format("--schedule: expected one of {}, got {}", fmt::join(schedule_names(), ", "), schedule));
  return found->second(options, table);
}

}  // namespace headstart::app
