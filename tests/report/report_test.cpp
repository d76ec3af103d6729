#include "headstart/report/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "example_report.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::drawn_picture;
using testing::example_report;
using testing::example_run;
using testing::hostile_report;

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t number = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++number;
  return number;
}

/// The page without its scripts and styles: what a reader sees, and the markup around it.
std::string markup(const std::string& page) {
  std::string out;
  std::size_t at = 0;
  while (true) {
    const std::size_t script = page.find("<script", at);
    const std::size_t style = page.find("<style", at);
    const std::size_t open = std::min(script, style);
    if (open == std::string::npos) break;
    out.append(page, at, open - at);
    at = page.find(open == script ? "</script>" : "</style>", open);
  }
  return out.append(page, at);
}

nlohmann::json embedded_data(const std::string& page) {
  const std::string open = "id=\"headstart-data\">";
  const std::size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

/// From a section's opening tag to its end; empty where there is none.
std::string section(const std::string& page, const std::string& id) {
  const std::size_t begin = page.find("<section id=\"" + id + "\"");
  return begin == std::string::npos ? "" : page.substr(begin, page.find("</section>", begin) - begin);
}

bool has_section(const std::string& page, const std::string& id) { return page.find("<section id=\"" + id + "\"") != std::string::npos; }

std::string error_of(const std::function<void(Report&)>& spoil) {
  Report report = example_report();
  spoil(report);
  try {
    render_report(report);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Report, NamesEveryRunInTableSamplesSettingsAndData) {
  const Report report = example_report();
  const std::string page = render_report(report);
  for (const SampleRun& run : report.runs) {
    const std::string expected = ">" + run.label + "<";
    EXPECT_GE(occurrences(page, expected), run.thumbs.empty() ? 2U : 3U) << run.label;
  }
  const nlohmann::json data = embedded_data(page);
  ASSERT_EQ(data["runs"].size(), report.runs.size());
  EXPECT_EQ(data["runs"][5]["label"], report.runs[5].label);
  EXPECT_EQ(data["runs"][5]["sigmas"].size(), report.runs[5].sigmas.size());
}

TEST(Report, IsOnePageThatRefersToNothingOutside) {
  const std::string text = markup(render_report(example_report()));
  const std::regex reference("(src|href|srcset|action|poster|data)=\"([^\"]*)\"");
  std::size_t found = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), reference), end; it != end; ++it) {
    const std::string address = (*it)[2];
    EXPECT_TRUE(address.starts_with("data:") || address.starts_with("#")) << address.substr(0, 80);
    ++found;
  }
  EXPECT_GT(found, 50U);
  EXPECT_EQ(text.find("http://"), std::string::npos);
  EXPECT_EQ(text.find("https://"), std::string::npos);
  EXPECT_NE(text.find("default-src 'none'"), std::string::npos);
}

TEST(Report, KeepsStylesFreeOfImportsAndAddresses) {
  const std::string page = render_report(example_report());
  const std::string style = page.substr(page.find("<style"), page.find("</style>") - page.find("<style"));
  EXPECT_EQ(style.find("@import"), std::string::npos);
  EXPECT_EQ(style.find("url("), std::string::npos);
}

TEST(Report, GivesEqualBytesForEqualReports) { EXPECT_EQ(render_report(example_report()), render_report(example_report())); }

TEST(Report, EscapesTextThatTriesToBreakThePage) {
  const std::string plain = render_report(example_report());
  const std::string page = render_report(hostile_report());
  EXPECT_EQ(occurrences(page, "</script>"), occurrences(plain, "</script>"));
  EXPECT_EQ(page.find("<b onmouseover"), std::string::npos);
  EXPECT_NE(page.find("&lt;/script&gt;&lt;b onmouseover=&quot;alert(1)&quot;&gt;&#39;&amp;amp;{{css}}&lt;!--"), std::string::npos);
  // An invalid byte becomes the replacement character, in the page as in the data.
  EXPECT_EQ(page.find('\xff'), std::string::npos);
  const std::string label = embedded_data(page)["runs"][5]["label"];
  EXPECT_EQ(label, "</script><b onmouseover=\"alert(1)\">'&amp;{{css}}<!--\xef\xbf\xbd\xe2\x80\xa8");
}

TEST(Report, LeavesOutSectionsWithoutData) {
  const std::string full = render_report(example_report());
  for (const char* id : {"summary", "quality", "samples", "sweep", "paths", "grids", "spectrum", "notes", "settings"}) {
    EXPECT_TRUE(has_section(full, id)) << id;
    EXPECT_NE(full.find("<a href=\"#" + std::string(id) + "\">"), std::string::npos) << id;
  }
  const std::string empty = render_report(Report{});
  for (const char* id : {"summary", "quality", "samples", "sweep", "paths", "grids", "spectrum", "notes", "settings"}) {
    EXPECT_FALSE(has_section(empty, id)) << id;
    EXPECT_EQ(empty.find("<a href=\"#" + std::string(id) + "\">"), std::string::npos) << id;
  }
  EXPECT_EQ(occurrences(markup(empty), "<canvas"), 0U);
}

TEST(Report, LeavesOutWhatRunsDoNotHave) {
  Report report = example_report();
  report.spectra.clear();
  report.sweeps.clear();
  for (SampleRun& run : report.runs) {
    run.paths.clear();
    run.frechet.reset();
    run.frechet_interval.reset();
    run.thumbs.clear();
    run.metrics.clear();
  }
  const std::string page = render_report(report);
  EXPECT_TRUE(has_section(page, "summary"));
  EXPECT_TRUE(has_section(page, "grids"));
  for (const char* id : {"quality", "samples", "sweep", "paths", "spectrum"}) EXPECT_FALSE(has_section(page, id)) << id;
  EXPECT_EQ(markup(page).find("Fréchet"), std::string::npos);
}

TEST(Report, MarksTheBestOfEachComparableGroupOnly) {
  Report report = example_report();
  for (std::size_t i : {2U, 3U}) report.runs[i].features = "pixels";
  const std::string page = render_report(report);
  EXPECT_EQ(occurrences(page, "<tr class=\"best\">"), 2U);
  EXPECT_NE(page.find("<strong>6.02</strong>"), std::string::npos);
  EXPECT_NE(page.find("<strong>9.87</strong>"), std::string::npos);
  EXPECT_EQ(occurrences(markup(page), "<canvas id=\"quality-"), 2U);
  report.runs[2].frechet_num = 512;
  EXPECT_EQ(occurrences(render_report(report), "<tr class=\"best\">"), 1U) << "a group of one has no best";
}

TEST(Report, ComparesTeleportedRunsWithUnskippedRunsOfEqualCost) {
  Report report{.runs = {example_run("off", 5, 0, 20.0, 0), example_run("respaced", 5, 4, 15.0, 0)}};
  ASSERT_EQ(report.runs[0].nfe, report.runs[1].nfe);
  std::string page = render_report(report);
  EXPECT_NE(page.find("\u221225.0\u202f%"), std::string::npos);
  EXPECT_EQ(page.find("No unskipped run"), std::string::npos);

  report.runs[0].solver = "euler";
  page = render_report(report);
  EXPECT_EQ(page.find("\u221225.0\u202f%"), std::string::npos) << "another solver is no baseline";
  EXPECT_NE(page.find("No unskipped run of the same solver and NFE was measured for <i>Heun, 5 steps, respaced from 4</i>"),
            std::string::npos);
}

TEST(Report, DrawsOnePanelForEachSolver) {
  Report report = example_report();
  for (std::size_t i : {0U, 5U}) report.runs[i].solver = "ipndm";
  const nlohmann::json data = embedded_data(render_report(report));
  ASSERT_EQ(data["groups"].size(), 1U);
  ASSERT_EQ(data["groups"][0]["panels"].size(), 2U);
  EXPECT_EQ(data["groups"][0]["panels"][0]["runs"], nlohmann::json({0, 5}));
}

TEST(Report, PutsEqualSeedsInOneColumn) {
  Report report{.runs = {example_run("off", 5, 0, 20.0, 0), example_run("respaced", 5, 4, 15.0, 0)}};
  report.runs[0].thumbs = {{.seed = 3, .png = drawn_picture(3, 0)}, {.seed = 1, .png = drawn_picture(1, 0)}};
  report.runs[1].thumbs = {{.seed = 3, .png = drawn_picture(3, 1)}};
  const std::string page = render_report(report);
  const std::string samples = page.substr(page.find("<section id=\"samples\""));
  EXPECT_LT(samples.find("</span>1</th>"), samples.find("</span>3</th>"));
  EXPECT_EQ(occurrences(samples, "<td><span class=\"none\">"), 1U) << "run 2 has no picture for seed 1";
  EXPECT_NE(samples.find("alt=\"Seed 3, Heun, 5 steps, 9 NFE\""), std::string::npos);
  EXPECT_NE(samples.find("src=\"data:image/png;base64,iVBORw0KGgo"), std::string::npos);
}

TEST(Report, ShowsEveryStopOfASweepWithoutScripts) {
  const std::string page = render_report(example_report());
  const std::string sweep = section(page, "sweep");
  EXPECT_EQ(occurrences(sweep, "<tr data-skip="), 6U);
  EXPECT_EQ(occurrences(sweep, "<img "), 6U * 16U) << "each picture once: the slider copies them";
  EXPECT_NE(sweep.find("<tr data-skip=\"none\" data-nfe=\"35\" data-rmse=\"0\">"), std::string::npos);
  EXPECT_NE(sweep.find("<tr data-skip=\"19.35\" data-nfe=\"27\" data-rmse=\"0.02584\">"), std::string::npos);
  EXPECT_NE(sweep.find("<div class=\"slider\" hidden>"), std::string::npos);
  EXPECT_NE(sweep.find("<details open>"), std::string::npos);
  EXPECT_NE(sweep.find("max=\"5\""), std::string::npos);
  EXPECT_NE(sweep.find("alt=\"Seed 15, jump to sigma 1.923\""), std::string::npos);
}

TEST(Report, PutsTheClosedFormsPathBesideTheSamplers) {
  Report report = example_report();
  std::string paths = section(render_report(report), "paths");
  EXPECT_EQ(occurrences(paths, "<img "), 2U * 19U * 4U);
  EXPECT_NE(paths.find("alt=\"Seed 3, Closed form, denoised, sigma 80\""), std::string::npos);
  EXPECT_NE(paths.find("<td class=\"rmse\">0.005</td>"), std::string::npos);
  for (SamplingPath& path : report.runs[0].paths) {
    for (PathStep& step : path.steps) step = {.sigma = step.sigma, .denoised = step.denoised, .state = step.state};
  }
  paths = section(render_report(report), "paths");
  EXPECT_EQ(occurrences(paths, "<img "), 2U * 19U * 2U);
  EXPECT_EQ(paths.find("Closed form"), std::string::npos);
}

TEST(Report, NamesEigenvalueShareAndNoiseLevelOfEachMode) {
  Report report;
  report.spectra = {
      {.name = "s", .eigenvalues = {6, 2}, .tail = 0.5, .dim = 6, .mean = drawn_picture(0, 0), .modes = {drawn_picture(1, 0)}}};
  const std::string spectrum = section(render_report(report), "spectrum");
  EXPECT_NE(spectrum.find("<b>Mode 1</b><span>λ 6</span><span>60.0\u202f%</span><span>σ 2.449</span>"), std::string::npos);
  EXPECT_NE(spectrum.find("alt=\"Mean\""), std::string::npos);
  EXPECT_EQ(occurrences(spectrum, "<img "), 2U);
}

TEST(Report, ListsProvenanceWithTheSettingsButNotInTooltips) {
  const std::string page = render_report(example_report());
  const std::string settings = section(page, "settings");
  EXPECT_NE(settings.find("<dt>command</dt><dd>report_example</dd>"), std::string::npos);
  EXPECT_NE(settings.find("<dd>headstart sample --network"), std::string::npos);
  EXPECT_EQ(embedded_data(page).dump().find("headstart sample"), std::string::npos);
}

TEST(Report, GivesEveryPictureAnAlternativeText) {
  for (const Report& report : {example_report(), hostile_report()}) {
    const std::string text = markup(render_report(report));
    EXPECT_EQ(occurrences(text, "<img "), occurrences(text, "\" alt=\""));
    EXPECT_EQ(occurrences(text, " alt=\"\""), 0U);
  }
}

TEST(Report, KeepsItsHeadingsInOrder) {
  const std::string text = markup(render_report(example_report()));
  const std::regex heading("<h([1-6])");
  char before = '0';
  for (std::sregex_iterator it(text.begin(), text.end(), heading), end; it != end; ++it) {
    const char level = (*it)[1].str().front();
    EXPECT_LE(level, before + 1);
    before = level;
  }
  EXPECT_EQ(occurrences(text, "<h1"), 1U);
  EXPECT_NE(render_report(example_report()).find("<html lang=\"en\">"), std::string::npos);
}

/// Contrast ratio of WCAG 2 of two colours "rrggbb".
double contrast(const std::string& a, const std::string& b) {
  const auto luminance = [](const std::string& colour) {
    static constexpr std::array<double, 3> kWeights = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const double v = std::stoi(colour.substr(2 * i, 2), nullptr, 16) / 255.0;
      sum += kWeights[i] * (v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
  };
  const auto [low, high] = std::minmax({luminance(a), luminance(b)});
  return (high + 0.05) / (low + 0.05);
}

TEST(Report, KeepsReadableContrastInBothColourSchemes) {
  EXPECT_NEAR(contrast("000000", "ffffff"), 21, 1e-9);
  const std::string page = render_report(example_report());
  const std::size_t dark = page.find("prefers-color-scheme: dark");
  ASSERT_NE(dark, std::string::npos);
  for (const std::string& block : {page.substr(page.find(":root {"), 900), page.substr(dark, 900)}) {
    std::map<std::string, std::string> colours;
    const std::string scheme = block.substr(0, block.find('}'));
    const std::regex colour("--(\\w+): #([0-9a-f]{6})");
    for (std::sregex_iterator it(scheme.begin(), scheme.end(), colour), end; it != end; ++it) colours[(*it)[1]] = (*it)[2];
    ASSERT_EQ(colours.size(), 14U);
    for (const char* ground : {"bg", "panel"}) {
      for (const char* text : {"ink", "muted", "link"})
        EXPECT_GE(contrast(colours[text], colours[ground]), 4.5) << text << " on " << ground;
      for (const char* mark : {"off", "tail", "respaced", "s0", "s1", "s2", "s3"})
        EXPECT_GE(contrast(colours[mark], colours[ground]), 3) << mark << " on " << ground;
    }
  }
}

TEST(Report, CountsTheTailInTheCumulativeEnergy) {
  Report report;
  report.spectra = {{.name = "s", .eigenvalues = {6, 2}, .tail = 0.5, .dim = 6}};
  nlohmann::json spectrum = embedded_data(render_report(report))["spectra"][0];
  EXPECT_EQ(spectrum["tail"], 0.5);
  ASSERT_EQ(spectrum["energy"].size(), 6U);
  EXPECT_DOUBLE_EQ(spectrum["energy"][1][1], 0.8);
  EXPECT_DOUBLE_EQ(spectrum["energy"][5][1], 1.0);

  report.spectra = {{.name = "full rank", .eigenvalues = {6, 2, 0, -1e-12}}};
  spectrum = embedded_data(render_report(report))["spectra"][0];
  EXPECT_FALSE(spectrum.contains("tail"));
  EXPECT_EQ(spectrum["values"].size(), 2U) << "zeros have no place on a log axis";
  EXPECT_EQ(spectrum["energy"].size(), 4U);
}

TEST(Report, ThinsLargeSpectraWithoutLosingTheirEnds) {
  Report report;
  report.spectra = {{.name = "large", .eigenvalues = std::vector<double>(20000), .dim = 30000}};
  for (std::size_t i = 0; i < 20000; ++i) report.spectra[0].eigenvalues[i] = 100.0 / static_cast<double>(i + 1);
  const nlohmann::json values = embedded_data(render_report(report))["spectra"][0]["values"];
  EXPECT_LT(values.size(), 600U);
  EXPECT_EQ(values.front()[0], 1);
  EXPECT_EQ(values.back()[0], 20000);
  for (std::size_t i = 1; i < values.size(); ++i) EXPECT_GT(values[i][0], values[i - 1][0]);
}

TEST(Report, ShowsAStudysCurvesTablesAndFacts) {
  const std::string page = render_report(example_report()), part = section(page, "study-0");
  EXPECT_NE(page.find("<a href=\"#study-0\">What explains the score</a>"), std::string::npos);
  for (const char* text : {"Measured on points that no model has seen.", "What is not explained.", "Jacobians.", ">0.91<", "exact score"})
    EXPECT_NE(part.find(text), std::string::npos) << text;
  const auto lines = embedded_data(page).at("lines");
  ASSERT_EQ(lines.size(), 2);
  EXPECT_EQ(lines[0].at("id"), "study-0-0");
  const auto curves = lines[0].at("curves");
  EXPECT_EQ(curves[0].at("points").size(), 6);
  EXPECT_EQ(curves[0].at("points")[0].size(), 4) << "x, y and the interval";
  EXPECT_EQ(curves[1].at("points").size(), 4) << "zero and NaN have no place on a logarithmic axis";
  EXPECT_TRUE(curves[2].at("prediction").get<bool>());
}

TEST(Report, RefusesStudiesThatCannotBeShown) {
  const auto refused = [](const std::function<void(Study&)>& change) -> std::string {
    Report report = example_report();
    change(report.studies[0]);
    try {
      render_report(report);
    } catch (const InvalidArgument& e) {
      return e.what();
    }
    return "nothing was thrown";
  };
  const auto expect = [&](const std::string& part, const std::function<void(Study&)>& change) {
    EXPECT_NE(refused(change).find(part), std::string::npos) << refused(change);
  };
  expect("non-empty study heading", [](Study& s) { s.heading = ""; });
  expect("expected curves in a chart, got none", [](Study& s) { s.charts[0].curves.clear(); });
  expect("curve 'Gaussian': expected as many y", [](Study& s) { s.charts[0].curves[0].y.pop_back(); });
  expect("curve 'Gaussian': expected as many y", [](Study& s) { s.charts[0].curves[0].intervals.pop_back(); });
  expect("got the curve name 'Gaussian' twice", [](Study& s) { s.charts[0].curves[1].name = "Gaussian"; });
  expect("expected x to be finite", [](Study& s) { s.charts[0].curves[0].x[0] = std::nan(""); });
  expect("expected rows of 2 cells, got 1", [](Study& s) { s.tables[0].rows[0].pop_back(); });
  expect("expected columns in a table, got none", [](Study& s) { s.tables[0].columns.clear(); });
}

TEST(Report, RefusesRunsThatCannotBeShown) {
  EXPECT_EQ(error_of([](Report& r) { r.runs[1].label = r.runs[0].label; }),
            "[render_report] expected unique names, got the run label 'Heun, 18 steps' twice");
  EXPECT_EQ(error_of([](Report& r) { r.runs[1].label.clear(); }), "[render_report] expected a non-empty run label");
  EXPECT_EQ(error_of([](Report& r) { r.runs[0].teleport = "on"; }),
            "[render_report] run 'Heun, 18 steps': expected teleport off, tail, respaced or replace, got 'on'");
  EXPECT_NE(error_of([](Report& r) { r.runs[0].sigma_skip = 4; }).find("expected sigma_skip exactly where there is a jump"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[5].sigma_skip.reset(); }).find("expected sigma_skip exactly where there is a jump"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].skipped_sigmas = {80}; }).find("expected no skipped_sigmas"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) {
              r.runs[0].sigmas = {80, 80, 1};
            }).find("expected sigmas strictly descending and >= 0, got 80 at index 1"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].sigmas = {0}; }).find("expected sigmas that start above 0, got 0"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].frechet = std::numeric_limits<double>::quiet_NaN(); }).find("expected frechet to be finite"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) {
              r.runs[0].metrics = {{"kid", std::numeric_limits<double>::infinity()}};
            }).find("expected kid to be finite"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].features.clear(); }).find("expected frechet with its features and frechet_num"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].frechet.reset(); }).find("expected frechet beside frechet_interval"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].frechet_interval = {.low = 2, .high = 1}; }).find("low <= high"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].thumbs[0].png.resize(10); }).find("expected a PNG for seed 0, got 10 other bytes"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.runs[0].thumbs[1].seed = 0; }).find("expected one thumb a seed, got two for 0"), std::string::npos);
}

TEST(Report, RefusesPathsThatCannotBeShown) {
  const auto path = [](Report& r) -> SamplingPath& { return r.runs[0].paths[1]; };
  EXPECT_EQ(error_of([&](Report& r) { r.runs[0].paths[0].steps.clear(); }),
            "[render_report] run 'Heun, 18 steps': expected paths with steps, got none");
  EXPECT_NE(error_of([&](Report& r) { path(r).steps.pop_back(); }).find("expected paths of equal sigmas, got others for seed 3"),
            std::string::npos);
  EXPECT_NE(error_of([&](Report& r) {
              r.runs[0].paths[0].steps[1].sigma = 80;
            }).find("expected sigmas of a path strictly descending and >= 0, got 80 at index 1"),
            std::string::npos);
  EXPECT_NE(error_of([&](Report& r) { path(r).steps[2].state.clear(); }).find("expected a PNG for the path of seed 3, got 0 other bytes"),
            std::string::npos);
  EXPECT_NE(error_of([&](Report& r) { path(r).steps[2].rmse.reset(); }).find("closed_state and rmse at every step of the paths or at none"),
            std::string::npos);
  EXPECT_NE(
      error_of([&](Report& r) { path(r).steps[2].rmse = std::numeric_limits<double>::quiet_NaN(); }).find("expected rmse to be finite"),
      std::string::npos);
}

TEST(Report, RefusesSweepsThatCannotBeShown) {
  EXPECT_EQ(error_of([](Report& r) { r.sweeps[0].stops.resize(1); }),
            "[render_report] sweep 'Heun, 18 steps': expected at least two stops with pictures, got 1");
  EXPECT_NE(error_of([](Report& r) { r.sweeps[0].stops[0].sigma_skip = 50; }).find("expected the full run first and sigma_skip at every"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.sweeps[0].stops[2].sigma_skip = 50; }).find("expected sigma_skip strictly descending"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) {
              r.sweeps[0].stops[2].thumbs.pop_back();
            }).find("expected the same seeds at every stop, got others at stop 2"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.sweeps.push_back(r.sweeps[0]); }).find("the sweep label 'Heun, 18 steps' twice"), std::string::npos);
}

TEST(Report, RefusesSpectraThatCannotBeShown) {
  EXPECT_NE(error_of([](Report& r) { r.spectra[0].mean.clear(); }).find("expected mode pictures beside a mean"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.spectra[0].modes[3].resize(8); }).find("expected a PNG for a mode, got 8 other bytes"),
            std::string::npos);
  EXPECT_EQ(error_of([](Report& r) { r.spectra[0].eigenvalues.clear(); }),
            "[render_report] spectrum 'All classes': expected eigenvalues, got none");
  EXPECT_NE(error_of([](Report& r) {
              r.spectra[0].eigenvalues = {1, 2};
            }).find("expected eigenvalues descending and >= 0, got 2 at index 1"),
            std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.spectra[0].eigenvalues = {1, -0.1}; }).find("got -0.1 at index 1"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.spectra[0].eigenvalues = {0, 0}; }).find("expected a positive eigenvalue"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.spectra[0].tail = -1; }).find("expected tail >= 0"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.spectra[0].dim = 3; }).find("expected dim >= the 256 eigenvalues, got 3"), std::string::npos);
  EXPECT_NE(error_of([](Report& r) { r.spectra[1].name = r.spectra[0].name; }).find("the spectrum name 'All classes' twice"),
            std::string::npos);
}

}  // namespace
}  // namespace headstart
