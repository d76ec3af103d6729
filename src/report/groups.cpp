#include "groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "headstart/error.h"
#include "html.h"
#include "png_header.h"

namespace headstart {
namespace {

void check_finite(double value, const std::string& who, std::string_view what) {
  if (!std::isfinite(value)) {
    throw InvalidArgument(fmt::format("[render_report] {}: expected {} to be finite, got {}", who, what, value));
  }
}

void check_descending(const std::vector<double>& sigmas, const std::string& who, std::string_view what) {
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    check_finite(sigmas[i], who, what);
    if (sigmas[i] < 0 || (i > 0 && sigmas[i] >= sigmas[i - 1])) {
      throw InvalidArgument(
          fmt::format("[render_report] {}: expected {} strictly descending and >= 0, got {} at index {}", who, what, sigmas[i], i));
    }
  }
}

void check_unique(const std::string& name, std::set<std::string>& seen, std::string_view what) {
  if (name.empty()) throw InvalidArgument(fmt::format("[render_report] expected a non-empty {}", what));
  if (!seen.insert(name).second) {
    throw InvalidArgument(fmt::format("[render_report] expected unique names, got the {} '{}' twice", what, name));
  }
}

void check_frechet(const SampleRun& run, const std::string& who) {
  if (!run.frechet) {
    if (run.frechet_interval) throw InvalidArgument(fmt::format("[render_report] {}: expected frechet beside frechet_interval", who));
    return;
  }
  check_finite(*run.frechet, who, "frechet");
  if (run.features.empty() || run.frechet_num <= 0) {
    throw InvalidArgument(fmt::format("[render_report] {}: expected frechet with its features and frechet_num, got '{}' and {}", who,
                                      run.features, run.frechet_num));
  }
  if (run.frechet_interval) {
    check_finite(run.frechet_interval->low, who, "frechet_interval");
    check_finite(run.frechet_interval->high, who, "frechet_interval");
    if (run.frechet_interval->low > run.frechet_interval->high) {
      throw InvalidArgument(fmt::format("[render_report] {}: expected frechet_interval with low <= high, got {} and {}", who,
                                        run.frechet_interval->low, run.frechet_interval->high));
    }
  }
}

void check_teleport(const SampleRun& run, const std::string& who) {
  static constexpr std::array<std::string_view, 3> kModes = {"off", "tail", "respaced"};
  if (std::find(kModes.begin(), kModes.end(), run.teleport) == kModes.end()) {
    throw InvalidArgument(fmt::format("[render_report] {}: expected teleport off, tail or respaced, got '{}'", who, run.teleport));
  }
  const bool jumps = run.teleport != "off";
  if (jumps != run.sigma_skip.has_value()) {
    throw InvalidArgument(
        fmt::format("[render_report] {}: expected sigma_skip exactly where there is a jump, got teleport '{}' {} sigma_skip", who,
                    run.teleport, jumps ? "without" : "with"));
  }
  if (!jumps && !run.skipped_sigmas.empty()) {
    throw InvalidArgument(
        fmt::format("[render_report] {}: expected no skipped_sigmas with teleport off, got {}", who, run.skipped_sigmas.size()));
  }
  if (run.sigma_skip) check_finite(*run.sigma_skip, who, "sigma_skip");
}

void check_run(const SampleRun& run) {
  const std::string who = fmt::format("run '{}'", run.label);
  check_teleport(run, who);
  check_descending(run.sigmas, who, "sigmas");
  check_descending(run.skipped_sigmas, who, "skipped_sigmas");
  if (!run.sigmas.empty() && run.sigmas.front() <= 0) {
    throw InvalidArgument(fmt::format("[render_report] {}: expected sigmas that start above 0, got {}", who, run.sigmas.front()));
  }
  check_frechet(run, who);
  check_finite(run.seconds, who, "seconds");
  check_finite(run.images_per_second, who, "images_per_second");
  for (const auto& [name, value] : run.metrics) check_finite(value, who, name);
  std::set<std::int64_t> seeds;
  for (const Thumb& thumb : run.thumbs) {
    if (!png_size(thumb.png)) {
      throw InvalidArgument(
          fmt::format("[render_report] {}: expected a PNG for seed {}, got {} other bytes", who, thumb.seed, thumb.png.size()));
    }
    if (!seeds.insert(thumb.seed).second) {
      throw InvalidArgument(fmt::format("[render_report] {}: expected one thumb a seed, got two for {}", who, thumb.seed));
    }
  }
}

void check_spectrum(const Spectrum& spectrum) {
  const std::string who = fmt::format("spectrum '{}'", spectrum.name);
  if (spectrum.eigenvalues.empty()) throw InvalidArgument(fmt::format("[render_report] {}: expected eigenvalues, got none", who));
  for (std::size_t i = 0; i < spectrum.eigenvalues.size(); ++i) {
    const double value = spectrum.eigenvalues[i];
    check_finite(value, who, "eigenvalues");
    // An eigendecomposition leaves zeros as tiny numbers of either sign.
    if (value < -1e-9 * std::abs(spectrum.eigenvalues.front()) || (i > 0 && value > spectrum.eigenvalues[i - 1])) {
      throw InvalidArgument(fmt::format("[render_report] {}: expected eigenvalues descending and >= 0, got {} at index {}", who, value, i));
    }
  }
  if (spectrum.eigenvalues.front() <= 0)
    throw InvalidArgument(fmt::format("[render_report] {}: expected a positive eigenvalue, got none", who));
  check_finite(spectrum.tail, who, "tail");
  if (spectrum.tail < 0) throw InvalidArgument(fmt::format("[render_report] {}: expected tail >= 0, got {}", who, spectrum.tail));
  if (spectrum.dim != 0 && spectrum.dim < static_cast<std::int64_t>(spectrum.eigenvalues.size())) {
    throw InvalidArgument(
        fmt::format("[render_report] {}: expected dim >= the {} eigenvalues, got {}", who, spectrum.eigenvalues.size(), spectrum.dim));
  }
}

std::string list(const std::vector<double>& sigmas) {
  std::string out;
  for (const double sigma : sigmas) out += (out.empty() ? "" : ", ") + html::number(sigma);
  return out;
}

}  // namespace

void validate(const Report& report) {
  std::set<std::string> labels;
  std::set<std::string> names;
  for (const SampleRun& run : report.runs) {
    check_unique(run.label, labels, "run label");
    check_run(run);
  }
  for (const Spectrum& spectrum : report.spectra) {
    check_unique(spectrum.name, names, "spectrum name");
    check_spectrum(spectrum);
  }
}

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
