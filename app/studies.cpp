#include "studies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "headstart/error.h"
#include "run_dir.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;

constexpr const char* kSigma = "Noise level σ";

/// The distinct values of one column, in order of first appearance.
template <class Value>
std::vector<Value> column(const ordered_json& rows, const char* name) {
  std::vector<Value> values;
  for (const auto& row : rows) {
    const auto value = row.at(name).get<Value>();
    if (std::ranges::find(values, value) == values.end()) values.push_back(value);
  }
  return values;
}

ordered_json where(const ordered_json& rows, const char* name, const ordered_json& value) {
  ordered_json found = ordered_json::array();
  for (const auto& row : rows)
    if (row.at(name) == value) found.push_back(row);
  return found;
}

/// One curve a value of `by`: y and its interval over the column `over`.
template <class Y, class Bounds>
std::vector<Curve> curves_by(const ordered_json& rows, const char* by, const char* over, Y y, Bounds bounds) {
  std::vector<Curve> curves;
  for (const auto& value : column<ordered_json>(rows, by)) {
    Curve curve{.name = value.is_string() ? value.get<std::string>() : fmt::format("σ = {:.4g}", value.get<double>())};
    for (const auto& row : where(rows, by, value)) {
      curve.x.push_back(row.at(over).get<double>());
      curve.y.push_back(y(row));
      if (const auto interval = bounds(row)) curve.intervals.push_back(*interval);
    }
    curves.push_back(std::move(curve));
  }
  return curves;
}

double unexplained(const ordered_json& row) { return 1 - row.at("St_EV").get<double>(); }
std::optional<ReportInterval> unexplained_interval(const ordered_json& row) {
  return ReportInterval{1 - row.at("St_EV_high").get<double>(), 1 - row.at("St_EV_low").get<double>()};
}
std::optional<ReportInterval> no_interval(const ordered_json&) { return std::nullopt; }

std::string named(const std::string& points) { return points == "held_out" ? "held-out images" : "training images"; }

Study over_levels(const ordered_json& comparison, const ordered_json& rows, const std::string& points, const std::string& heading) {
  const LineChart residual{.title = "Not explained",
                           .caption =
                               "Mean over the points of |s_net − s_model|² / |s_net|², with 95 % intervals: lower is closer to the "
                               "network's score.",
                           .x_label = kSigma,
                           .y_label = "1 − explained variance of the score",
                           .log_x = true,
                           .log_y = true,
                           .curves = curves_by(rows, "name", "sigma", unexplained, unexplained_interval)};
  const LineChart error{
      .title = "Who denoises better",
      .caption =
          "Mean squared error of each closed form's denoised estimate over that of the network's: below 1 the closed "
          "form is the better denoiser.",
      .x_label = kSigma,
      .y_label = "error, relative to the network's",
      .log_x = true,
      .log_y = true,
      .curves = curves_by(
          rows, "name", "sigma",
          [](const ordered_json& row) { return row.at("error").get<double>() / row.at("network_error").get<double>(); }, no_interval)};
  return {.heading = heading,
          .facts = {fmt::format("{} noised {} at each level, of {}.",
                                rows.front().value("samples", comparison.at("samples").get<std::int64_t>()), named(points),
                                rows.front().at("network").get<std::string>())},
          .charts = {residual, error},
          .tables = {}};
}

/// A few of the levels, evenly spread, so that a chart's lines can be told apart.
ordered_json some_levels(const ordered_json& rows, std::size_t count) {
  auto levels = column<double>(rows, "sigma");
  ordered_json kept = ordered_json::array();
  const std::size_t step = std::max<std::size_t>(1, (levels.size() + count - 1) / count);
  for (const auto& row : rows)
    if (static_cast<std::size_t>(std::ranges::find(levels, row.at("sigma").get<double>()) - levels.begin()) % step == 0)
      kept.push_back(row);
  return kept;
}

Study while_learning(const ordered_json& rows, const std::string& points) {
  Study study{.heading = "While learning: " + named(points), .facts = {}, .charts = {}, .tables = {}};
  study.facts.push_back(fmt::format("{} networks kept on the way. What a model explains early is learned first.",
                                    column<ordered_json>(rows, "images").size()));
  const ordered_json shown = some_levels(rows, 5);
  for (const double sigma : column<double>(shown, "sigma"))
    study.charts.push_back({.title = fmt::format("At σ = {:g}", sigma),
                            .caption = "What each closed form does not explain of the network's score, by images seen.",
                            .x_label = "Images seen",
                            .y_label = "1 − explained variance of the score",
                            .log_x = true,
                            .log_y = true,
                            .curves = curves_by(where(shown, "sigma", sigma), "name", "images", unexplained, unexplained_interval)});
  const std::string any = column<std::string>(rows, "name").front();
  study.charts.push_back({.title = "The network itself",
                          .caption = "Mean squared error of the network's denoised estimate, by images seen.",
                          .x_label = "Images seen",
                          .y_label = "error",
                          .log_x = true,
                          .log_y = true,
                          .curves = curves_by(
                              some_levels(where(rows, "name", any), 5), "sigma", "images",
                              [](const ordered_json& row) { return row.at("network_error").get<double>(); }, no_interval)});
  return study;
}

std::vector<double> numbers(const ordered_json& list) {
  std::vector<double> values;
  for (const auto& value : list) values.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  return values;
}

Curve curve_of(const std::string& name, const ordered_json& x, const ordered_json& y, bool prediction = false) {
  return {.name = name, .x = numbers(x), .y = numbers(y), .intervals = {}, .prediction = prediction};
}

/// Both start from the same noise: what rounding leaves of that first zero would only stretch the axis.
Curve without_start(Curve curve) {
  curve.y.front() = std::nan("");
  return curve;
}

LineChart kick_chart(const ordered_json& kicks) {
  LineChart chart{.title = "Kicks",
                  .caption =
                      "How much of a kick along an eigenmode is left in the sample, by the level of the kick. Dashed: the Gaussian's "
                      "√(λ / (λ + σ²)).",
                  .x_label = "Noise level of the kick",
                  .y_label = "response",
                  .log_x = true,
                  .log_y = false,
                  .curves = {}};
  for (const auto& mode : column<std::int64_t>(kicks, "mode")) {
    const ordered_json own = where(kicks, "mode", mode);
    Curve measured{.name = fmt::format("mode {}", mode + 1)},
        predicted{.name = fmt::format("mode {}, predicted", mode + 1), .prediction = true};
    for (const auto& row : own) {
      const double value = row.at("measured"), spread = row.at("std");
      for (Curve* curve : {&measured, &predicted}) curve->x.push_back(row.at("sigma"));
      measured.y.push_back(value);
      measured.intervals.push_back({value - spread, value + spread});
      predicted.y.push_back(row.at("predicted"));
    }
    chart.curves.push_back(std::move(measured));
    chart.curves.push_back(std::move(predicted));
  }
  return chart;
}

ReportTable jacobian_table(const ordered_json& jacobian) {
  ReportTable table{.caption =
                        "The denoiser's Jacobian on the first path: its leading eigenvalues, those of the Gaussian's, and how much of "
                        "the subspace they span is the same (mean squared cosine; 1 is all of it).",
                    .columns = {"σ", "eigenvalues", "predicted", "overlap"},
                    .rows = {}};
  const auto list = [](const ordered_json& values) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(4, values.size()); ++i)
      text += fmt::format("{}{:.3g}", i > 0 ? "  " : "", values[i].get<double>());
    return text;
  };
  for (const auto& row : jacobian)
    table.rows.push_back({fmt::format("{:.4g}", row.at("sigma").get<double>()), list(row.at("eigenvalues")), list(row.at("predicted")),
                          fmt::format("{:.3f}", row.at("overlap").get<double>())});
  return table;
}

}  // namespace

Study trajectory_study(const ordered_json& t) {
  const auto& directions = t.at("path_directions");
  Study study{.heading = "The path from noise to picture", .facts = {}, .charts = {}, .tables = {}};
  study.facts.push_back(fmt::format(
      "{}, seeds {}, {} steps of Heun's method. Of the states' movement along a path all but {:.2g} lies in its first direction, "
      "all but {:.2g} in its first two.",
      t.at("network").get<std::string>(), t.at("seeds").get<std::string>(), t.at("steps").get<std::int64_t>(),
      1 - directions.at(0).get<double>(), 1 - directions.at(1).get<double>()));
  study.charts.push_back({.title = "Distance from the Gaussian's path",
                          .caption = "From the same noise: squared difference over squared deviation from the mean, summed over the seeds.",
                          .x_label = kSigma,
                          .y_label = "relative squared difference",
                          .log_x = true,
                          .log_y = true,
                          .curves = {without_start(curve_of("state", t.at("sigmas"), t.at("state_residual"))),
                                     curve_of("denoised estimate", t.at("sigmas"), t.at("denoised_residual"))}});
  study.charts.push_back({.title = "When a mode is decided",
                          .caption =
                              "The level at which a mode's coordinate in the denoised estimate comes to 1/√2 of its last value, against "
                              "the Gaussian's prediction √λ (dashed: equal).",
                          .x_label = "√λ",
                          .y_label = "decided at σ",
                          .log_x = true,
                          .log_y = true,
                          .curves = {curve_of("measured", t.at("decided_predicted"), t.at("decided")),
                                     curve_of("predicted", t.at("decided_predicted"), t.at("decided_predicted"), true)}});
  LineChart modes{.title = "Mode by mode",
                  .caption = "How much of the denoised estimate's coordinate along each eigenvector the Gaussian's path explains.",
                  .x_label = kSigma,
                  .y_label = "explained share",
                  .log_x = true,
                  .log_y = false,
                  .curves = {}};
  const auto& explained = t.at("mode_explained");
  for (const std::size_t mode : {0, 1, 3, 7, 15, 31}) {
    if (mode >= t.at("eigenvalues").size()) break;
    Curve curve{.name = fmt::format("mode {}", mode + 1), .x = numbers(t.at("sigmas"))};
    for (const auto& level : explained)
      curve.y.push_back(level.at(mode).is_null() ? std::nan("") : std::max(-1.0, level.at(mode).get<double>()));
    modes.curves.push_back(std::move(curve));
  }
  study.charts.push_back(std::move(modes));
  if (!t.at("kicks").empty()) study.charts.push_back(kick_chart(t.at("kicks")));
  if (!t.at("jacobian").empty()) study.tables.push_back(jacobian_table(t.at("jacobian")));
  return study;
}

std::vector<Study> comparison_studies(const ordered_json& comparison) {
  std::vector<Study> studies;
  const ordered_json& rows = comparison.at("rows");
  for (const auto& points : column<std::string>(rows, "points")) {
    const ordered_json own = where(rows, "points", points);
    // Of several networks the last is the one that the others led to.
    const ordered_json last = where(where(own, "network", own.back().at("network")), "images", own.back().at("images"));
    studies.push_back(over_levels(comparison, last, points, "What explains the score: " + named(points)));
    const bool dated = std::ranges::none_of(own, [](const auto& row) { return row.at("images").is_null(); });
    if (dated && column<ordered_json>(own, "images").size() > 1) studies.push_back(while_learning(own, points));
  }
  return studies;
}

std::vector<Study> read_studies(const std::string& path) {
  const ordered_json json = read_json(path);
  const std::string format = json.is_object() ? json.value("format", "") : "";
  try {
    if (format == "headstart-comparison") return comparison_studies(json);
    if (format == "headstart-trajectory") return {trajectory_study(json)};
  } catch (const nlohmann::json::exception& e) {
    throw DataError(path, std::string("is not what compare or trajectory writes: ") + e.what());
  }
  throw DataError(path, "expected the JSON of compare or trajectory");
}

Study calibration_study(const ordered_json& c, const std::string& run) {
  const auto level = [](const ordered_json& value, const char* none) {
    return value.is_null() ? std::string(none) : fmt::format("σ = {:.3g}", value.get<double>());
  };
  Study study{.heading = "Where to jump: " + run, .facts = {}, .charts = {}, .tables = {}};
  study.facts.push_back(fmt::format("Chosen automatically: jump to {}, residual form down to {}. {} evaluations of the model.",
                                    level(c.at("sigma_skip"), "no level"), level(c.at("sigma_c"), "no level"),
                                    c.at("evaluations").get<std::int64_t>()));

  LineChart ends{
      .title = "Where the paths end",
      .caption = "Root mean square difference between this solver's pictures and accurately integrated ones from the same noise.",
      .x_label = "Jump to σ",
      .y_label = "error",
      .log_x = true,
      .log_y = false,
      .curves = {}};
  ReportTable tried{.caption = "All that was tried.", .columns = {"jump to", "residual form down to", "error"}, .rows = {}};
  for (const auto& trial : c.at("trials")) {
    const bool diverges = trial.at("error").is_null();
    const double error = diverges ? std::nan("") : trial.at("error").get<double>();
    tried.rows.push_back({level(trial.at("sigma_skip"), "none"), level(trial.at("sigma_c"), "none"),
                          diverges ? std::string("diverges") : fmt::format("{:.4f}", error)});
    if (diverges || trial.at("sigma_skip").is_null()) continue;
    const std::string name = trial.at("sigma_c").is_null() ? "teleported" : "residual form down to " + level(trial.at("sigma_c"), "");
    auto found = std::ranges::find(ends.curves, name, &Curve::name);
    if (found == ends.curves.end()) found = ends.curves.insert(ends.curves.end(), Curve{.name = name});
    found->x.push_back(trial.at("sigma_skip").get<double>());
    found->y.push_back(error);
  }
  if (!ends.curves.empty()) study.charts.push_back(std::move(ends));
  study.tables.push_back(std::move(tried));

  if (const auto errors = c.value("denoising", ordered_json::array()); !errors.empty()) {
    Curve model{.name = "model"}, closed{.name = "closed form"};
    for (const auto& e : errors)
      for (Curve* curve : {&model, &closed}) {
        curve->x.push_back(e.at("sigma").get<double>());
        curve->y.push_back(e.at(curve == &model ? "model" : "closed_form").get<double>());
      }
    study.charts.push_back({.title = "Who denoises better",
                            .caption = "Mean squared error of the denoised estimate of held-out images.",
                            .x_label = kSigma,
                            .y_label = "error",
                            .log_x = true,
                            .log_y = true,
                            .curves = {std::move(model), std::move(closed)}});
  }
  return study;
}

std::optional<Study> read_calibration(const std::string& folder, const std::string& run) {
  const std::string path = folder + "/run.json";
  const ordered_json json = read_json(path);
  if (!json.contains("calibration")) return std::nullopt;
  try {
    return calibration_study(json["calibration"], run);
  } catch (const nlohmann::json::exception&) {
    throw DataError(path, "its calibration is not what sample writes");
  }
}

}  // namespace headstart::app
