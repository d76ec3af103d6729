#include "validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "headstart/error.h"
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
  static constexpr std::array<std::string_view, 4> kModes = {"off", "tail", "respaced", "replace"};
  if (std::find(kModes.begin(), kModes.end(), run.teleport) == kModes.end()) {
    throw InvalidArgument(fmt::format("[render_report] {}: expected teleport off, tail, respaced or replace, got '{}'", who, run.teleport));
  }
  const bool jumps = run.teleport != "off";  // "replace" says where it switches
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

void check_png(const PngFile& png, const std::string& who, const std::string& what) {
  if (!png_size(png))
    throw InvalidArgument(fmt::format("[render_report] {}: expected a PNG for {}, got {} other bytes", who, what, png.size()));
}

void check_thumbs(const std::vector<Thumb>& thumbs, const std::string& who) {
  std::set<std::int64_t> seeds;
  for (const Thumb& thumb : thumbs) {
    check_png(thumb.png, who, fmt::format("seed {}", thumb.seed));
    if (!seeds.insert(thumb.seed).second) {
      throw InvalidArgument(fmt::format("[render_report] {}: expected one thumb a seed, got two for {}", who, thumb.seed));
    }
  }
}

std::vector<double> sigmas_of(const SamplingPath& path) {
  std::vector<double> sigmas;
  for (const PathStep& step : path.steps) sigmas.push_back(step.sigma);
  return sigmas;
}

/// Columns and rows of the paths are those of the first one.
void check_paths(const std::vector<SamplingPath>& paths, const std::string& who) {
  if (paths.empty()) return;
  if (paths.front().steps.empty()) throw InvalidArgument(fmt::format("[render_report] {}: expected paths with steps, got none", who));
  check_descending(sigmas_of(paths.front()), who, "sigmas of a path");
  const bool closed = !paths.front().steps.front().closed_denoised.empty();
  for (const SamplingPath& path : paths) {
    if (sigmas_of(path) != sigmas_of(paths.front()))
      throw InvalidArgument(fmt::format("[render_report] {}: expected paths of equal sigmas, got others for seed {}", who, path.seed));
    for (const PathStep& step : path.steps) {
      const std::string what = fmt::format("the path of seed {}", path.seed);
      for (const PngFile* png : {&step.denoised, &step.state}) check_png(*png, who, what);
      if (closed != !step.closed_denoised.empty() || closed != !step.closed_state.empty() || closed != step.rmse.has_value())
        throw InvalidArgument(fmt::format(
            "[render_report] {}: expected closed_denoised, closed_state and rmse at every step of the paths or at none, got some", who));
      if (!closed) continue;
      for (const PngFile* png : {&step.closed_denoised, &step.closed_state}) check_png(*png, who, what);
      check_finite(*step.rmse, who, "rmse");
    }
  }
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
  check_thumbs(run.thumbs, who);
  check_paths(run.paths, who);
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
  if (spectrum.modes.size() > (spectrum.mean.empty() ? 0 : spectrum.eigenvalues.size())) {
    throw InvalidArgument(fmt::format("[render_report] {}: expected mode pictures beside a mean and at most {} of them, got {}", who,
                                      spectrum.eigenvalues.size(), spectrum.modes.size()));
  }
  if (!spectrum.mean.empty()) check_png(spectrum.mean, who, "the mean");
  for (const PngFile& mode : spectrum.modes) check_png(mode, who, "a mode");
}

std::vector<std::int64_t> seeds_of(const SkipStop& stop) {
  std::vector<std::int64_t> seeds;
  for (const Thumb& thumb : stop.thumbs) seeds.push_back(thumb.seed);
  return seeds;
}

void check_sweep(const SkipSweep& sweep) {
  const std::string who = fmt::format("sweep '{}'", sweep.label);
  if (sweep.stops.size() < 2 || sweep.stops.front().thumbs.empty())
    throw InvalidArgument(fmt::format("[render_report] {}: expected at least two stops with pictures, got {}", who, sweep.stops.size()));
  std::vector<double> levels;
  for (std::size_t i = 0; i < sweep.stops.size(); ++i) {
    const SkipStop& stop = sweep.stops[i];
    if (stop.sigma_skip.has_value() != (i > 0))
      throw InvalidArgument(fmt::format("[render_report] {}: expected the full run first and sigma_skip at every other stop", who));
    if (stop.sigma_skip) levels.push_back(*stop.sigma_skip);
    check_finite(stop.rmse, who, "rmse");
    check_thumbs(stop.thumbs, who);
    if (seeds_of(stop) != seeds_of(sweep.stops.front()))
      throw InvalidArgument(fmt::format("[render_report] {}: expected the same seeds at every stop, got others at stop {}", who, i));
  }
  check_descending(levels, who, "sigma_skip");
}

void check_curve(const Curve& curve, const std::string& who) {
  if (curve.x.empty() || curve.y.size() != curve.x.size() || (!curve.intervals.empty() && curve.intervals.size() != curve.x.size()))
    throw InvalidArgument(
        fmt::format("[render_report] {}: expected as many y (and intervals, where there are some) as x, got {}, {} and {}", who,
                    curve.y.size(), curve.intervals.size(), curve.x.size()));
  for (const double x : curve.x) check_finite(x, who, "x");
  for (const ReportInterval& interval : curve.intervals) {
    check_finite(interval.low, who, "intervals");
    check_finite(interval.high, who, "intervals");
  }
}

void check_study(const Study& study) {
  const std::string who = fmt::format("study '{}'", study.heading);
  for (const LineChart& chart : study.charts) {
    std::set<std::string> names;
    if (chart.curves.empty()) throw InvalidArgument(fmt::format("[render_report] {}: expected curves in a chart, got none", who));
    for (const Curve& curve : chart.curves) {
      check_unique(curve.name, names, "curve name");
      check_curve(curve, who + ", curve '" + curve.name + "'");
    }
  }
  for (const ReportTable& table : study.tables) {
    if (table.columns.empty()) throw InvalidArgument(fmt::format("[render_report] {}: expected columns in a table, got none", who));
    for (const auto& row : table.rows)
      if (row.size() != table.columns.size())
        throw InvalidArgument(fmt::format("[render_report] {}: expected rows of {} cells, got {}", who, table.columns.size(), row.size()));
  }
}

}  // namespace

void validate(const Report& report) {
  std::set<std::string> labels;
  std::set<std::string> names;
  std::set<std::string> sweeps;
  for (const SampleRun& run : report.runs) {
    check_unique(run.label, labels, "run label");
    check_run(run);
  }
  for (const Spectrum& spectrum : report.spectra) {
    check_unique(spectrum.name, names, "spectrum name");
    check_spectrum(spectrum);
  }
  std::set<std::string> studies;
  for (const Study& study : report.studies) {
    check_unique(study.heading, studies, "study heading");
    check_study(study);
  }
  for (const SkipSweep& sweep : report.sweeps) {
    check_unique(sweep.label, sweeps, "sweep label");
    check_sweep(sweep);
  }
}

}  // namespace headstart
