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

using Levels = std::function<std::vector<double>(const KarrasOptions&)>;

Spacing time_of(const Schedule& schedule) { return {.to_time = schedule.to_time, .to_sigma = schedule.to_sigma}; }

Levels spaced(Spacing spacing) {
  return [s = std::move(spacing)](const KarrasOptions& o) { return spaced_sigmas(s, o); };
}

/// DDPM's 1000 levels (arXiv 2006.11239), those within the range.
Levels ddpm(TableSpacing spacing) {
  return [spacing](const KarrasOptions& o) {
    const Schedule schedule = vp_linear(1e-4, 0.02, 1000);
    std::vector<double> table;
    for (std::int64_t i = 0; i < schedule.steps; ++i)
      if (const double sigma = schedule.to_sigma(static_cast<double>(i)); sigma >= o.sigma_min && sigma <= o.sigma_max)
        table.push_back(sigma);
    if (o.steps > std::ssize(table))
      throw InvalidArgument(fmt::format("--steps: expected at most {}, the levels of DDPM between {} and {}, got {}", table.size(),
                                        o.sigma_min, o.sigma_max, o.steps));
    return table_sigmas(table, o.steps, spacing, o.final_zero);
  };
}

const std::vector<std::pair<std::string, Levels>>& schedules() {
  static const std::vector<std::pair<std::string, Levels>> all{{"karras", karras_sigmas},
                                                               {"log", spaced(log_spacing())},
                                                               {"linear", spaced(time_of(vp_continuous(0.1, 20)))},
                                                               {"quadratic", spaced(quadratic(time_of(vp_continuous(0.1, 20))))},
                                                               {"cosine", spaced(time_of(cosine(0.008)))},
                                                               {"flow", spaced(time_of(flow_schedule()))},
                                                               {"ddpm_leading", ddpm(TableSpacing::leading)},
                                                               {"ddpm_trailing", ddpm(TableSpacing::trailing)}};
  return all;
}

}  // namespace

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const auto& [name, levels] : schedules()) names.push_back(name);
  return names;
}

std::vector<double> grid_of(const std::string& schedule, const KarrasOptions& options) {
  const auto found = std::ranges::find(schedules(), schedule, [](const auto& entry) { return entry.first; });
  if (found == schedules().end())
    throw InvalidArgument(fmt::format("--schedule: expected one of {}, got {}", fmt::join(schedule_names(), ", "), schedule));
  return found->second(options);
}

}  // namespace headstart::app
