#pragma once
// TEST DATA: a report with made-up numbers and drawn pictures of plausible size and shape. Nothing in it was measured.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "headstart/report/report.h"

namespace headstart::testing {

/// An 8-bit grey PNG, stored without compression so that no library is needed.
inline std::vector<std::uint8_t> grey_png(int width, int height, const std::vector<std::uint8_t>& pixels) {
  std::vector<std::uint8_t> out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const auto word = [](std::vector<std::uint8_t>& to, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  const auto chunk = [&](const std::string& name, const std::vector<std::uint8_t>& body) {
    word(out, static_cast<std::uint32_t>(body.size()));
    std::vector<std::uint8_t> covered(name.begin(), name.end());
    covered.insert(covered.end(), body.begin(), body.end());
    std::uint32_t crc = 0xffffffffU;
    for (const std::uint8_t byte : covered) {
      crc ^= byte;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
    }
    out.insert(out.end(), covered.begin(), covered.end());
    word(out, ~crc);
  };
  std::vector<std::uint8_t> header;
  word(header, static_cast<std::uint32_t>(width));
  word(header, static_cast<std::uint32_t>(height));
  header.insert(header.end(), {8, 0, 0, 0, 0});
  std::vector<std::uint8_t> raw;
  for (int y = 0; y < height; ++y) {
    raw.push_back(0);
    raw.insert(raw.end(), pixels.begin() + y * width, pixels.begin() + (y + 1) * width);
  }
  const auto size = static_cast<std::uint16_t>(raw.size());  // one stored block: up to 65,535 bytes
  std::vector<std::uint8_t> body = {0x78,
                                    0x01,
                                    0x01,
                                    static_cast<std::uint8_t>(size),
                                    static_cast<std::uint8_t>(size >> 8),
                                    static_cast<std::uint8_t>(~size),
                                    static_cast<std::uint8_t>(~size >> 8)};
  body.insert(body.end(), raw.begin(), raw.end());
  std::uint32_t a = 1;
  std::uint32_t b = 0;
  for (const std::uint8_t byte : raw) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  word(body, b << 16 | a);
  chunk("IHDR", header);
  chunk("IDAT", body);
  chunk("IEND", {});
  return out;
}

/// A shirt-like shape of 28 x 28 that depends on the seed, and on `wobble` a little.
inline std::vector<std::uint8_t> drawn_picture(std::int64_t seed, double wobble) {
  std::vector<std::uint8_t> pixels(28 * 28);
  const auto s = static_cast<double>(seed);
  const double body = 5.5 + 2.2 * std::sin(1.7 * s + wobble);
  const double sleeve = 10 + 2.5 * std::cos(2.3 * s);
  const double cuff = 9 + 7 * std::fabs(std::sin(0.9 * s + 0.3 * wobble));
  for (int y = 0; y < 28; ++y) {
    for (int x = 0; x < 28; ++x) {
      const double dx = std::fabs(x - 13.5);
      const bool inside = (dx < body && y > 3 && y < 25) || (dx < sleeve && y > 3 && y < cuff && dx - body < (y - 2) * 1.2);
      const bool collar = dx < 2.5 && y < 6;
      const double shade = 150 + 60 * std::sin(0.8 * x * std::cos(s) + 0.9 * y * std::sin(s) + wobble) + 25 * std::cos(0.4 * y);
      pixels[static_cast<std::size_t>(y * 28 + x)] =
          inside && !collar ? static_cast<std::uint8_t>(std::clamp(shade, 30.0, 255.0)) : static_cast<std::uint8_t>(0);
    }
  }
  return grey_png(28, 28, pixels);
}

/// A signed wave about mid-grey, as an eigenvector looks.
inline std::vector<std::uint8_t> wave_picture(std::int64_t k) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < 28; ++y) {
    for (int x = 0; x < 28; ++x) {
      const double wave = std::cos(0.11 * (k % 4 + 1) * x + k) * std::cos(0.11 * (k / 4 + 1) * y);
      pixels.push_back(static_cast<std::uint8_t>(std::lround(128 + 127 * wave)));
    }
  }
  return grey_png(28, 28, pixels);
}

/// EDM's grid from 80 to 0.002, rho = 7, with a final 0.
inline std::vector<double> edm_grid(int steps, double top = 80) {
  std::vector<double> sigmas;
  for (int i = 0; i < steps; ++i) {
    const double t = steps > 1 ? static_cast<double>(i) / (steps - 1) : 0;
    sigmas.push_back(std::pow(std::pow(top, 1 / 7.0) + t * (std::pow(0.002, 1 / 7.0) - std::pow(top, 1 / 7.0)), 7));
  }
  sigmas.push_back(0);
  return sigmas;
}

/// One run with made-up quality. `skip` 0 means no jump.
inline SampleRun example_run(const std::string& teleport, int steps, double skip, double frechet, double wobble) {
  SampleRun run{.label = "Heun, " + std::to_string(steps) + " steps", .solver = "heun", .teleport = teleport, .sigma_skip = std::nullopt};
  run.steps = steps;
  run.sigmas = edm_grid(steps);
  if (teleport == "tail") {
    const auto keep = std::find_if(run.sigmas.begin(), run.sigmas.end(), [&](double sigma) { return sigma <= skip; });
    run.skipped_sigmas.assign(run.sigmas.begin(), keep);
    run.sigmas.erase(run.sigmas.begin(), keep);
    run.label += ", tail from 4";
  } else if (teleport == "respaced") {
    run.sigmas = edm_grid(steps, skip);
    run.skipped_sigmas = {80};
    run.label += ", respaced from 4";
  }
  if (skip > 0) run.sigma_skip = skip;
  run.nfe = 2 * (static_cast<std::int64_t>(run.sigmas.size()) - 1) - 1;
  run.count = 2048;
  run.seeds = "0-2047";
  run.images_per_second = 1450.0 / static_cast<double>(run.nfe);
  run.seconds = 2048 / run.images_per_second;
  run.frechet = frechet;
  run.frechet_interval = ReportInterval{.low = frechet * 0.968, .high = frechet * 1.035};
  run.features = "fashion-mnist-features";
  run.frechet_num = 2048;
  run.reference = "Fashion-MNIST test images (10,000)";
  run.metrics = {{"kid", frechet * 2.1e-4}};
  for (std::int64_t seed = 0; seed < 10; ++seed) run.thumbs.push_back({.seed = seed, .png = drawn_picture(seed, wobble)});
  run.settings = {{"sigma_min", "0.002"},
                  {"sigma_max", "80"},
                  {"rho", "7"},
                  {"schedule", "edm"},
                  {"S_churn", "0"},
                  {"batch", "64"},
                  {"threads", "2"},
                  {"denoise_to_zero", "on"},
                  {"network", "models/fashion-mnist-28x28-uncond.safetensors"},
                  {"network sha256", "3b1f0c52d9a44c0f8e7c1f3a9d55a1b2c3d4e5f60718293a4b5c6d7e8f901234"}};
  return run;
}

inline Spectrum example_spectrum(const std::string& name, std::size_t rank, double steepness) {
  Spectrum spectrum{
      .name = name, .eigenvalues = {}, .tail = 0, .dim = 784, .count = 60000, .shape = {.channels = 1, .height = 28, .width = 28}};
  for (std::size_t r = 1; r <= rank; ++r) {
    const auto k = static_cast<double>(r);
    spectrum.eigenvalues.push_back(88 * std::pow(k, -steepness) * (k < 3 ? 1.0 : 0.8) + 8e-4);
  }
  spectrum.tail = spectrum.eigenvalues.back() * 0.4;
  spectrum.mean = drawn_picture(0, 0.4);
  for (std::int64_t k = 0; k < 12; ++k) spectrum.modes.push_back(wave_picture(k));
  return spectrum;
}

inline SamplingPath example_path(std::int64_t seed) {
  SamplingPath path{.seed = seed};
  for (const double sigma : edm_grid(18)) {
    const double wobble = std::min(1.5, 0.1 * sigma);
    path.steps.push_back({.sigma = sigma,
                          .denoised = drawn_picture(seed, wobble),
                          .state = drawn_picture(seed + 40, wobble),
                          .closed_denoised = drawn_picture(seed, wobble + 0.4 / (1 + sigma)),
                          .closed_state = drawn_picture(seed + 40, wobble + 0.2),
                          .rmse = 0.4 / (1 + sigma)});
  }
  return path;
}

inline SkipSweep example_sweep() {
  SkipSweep sweep{.label = "Heun, 18 steps", .stops = {{.sigma_skip = std::nullopt, .nfe = 35, .rmse = 0}}};
  for (const auto& [sigma, nfe] : {std::pair{40.8, 31}, {19.35, 27}, {8.4, 23}, {5.315, 21}, {1.923, 17}})
    sweep.stops.push_back({.sigma_skip = sigma, .nfe = nfe, .rmse = 0.5 / sigma});
  for (SkipStop& stop : sweep.stops) {
    for (std::int64_t seed = 0; seed < 16; ++seed) stop.thumbs.push_back({.seed = seed, .png = drawn_picture(seed, stop.rmse * 3)});
  }
  return sweep;
}

/// Curves over four decades with intervals, a value that is missing, one that a logarithmic axis cannot show, and a prediction.
inline Study example_study() {
  Curve gaussian{.name = "Gaussian", .x = {0.1, 0.5, 1, 5, 20, 80}, .y = {0.3, 0.11, 0.04, 0.006, 0.0009, 0.0001}};
  for (const double y : gaussian.y) gaussian.intervals.push_back({0.9 * y, 1.1 * y});
  const double nan = std::nan("");
  const Curve exact{.name = "exact score", .x = {0.1, 0.5, 1, 5, 20, 80}, .y = {0.7, 0.2, 0.03, 0, nan, 0.00008}};
  const Curve theory{.name = "predicted", .x = {0.1, 80}, .y = {0.4, 0.00009}, .prediction = true};
  const LineChart residual{.title = "Residual",
                           .caption = "What is not explained.",
                           .x_label = "Noise level σ",
                           .y_label = "1 − explained variance",
                           .log_x = true,
                           .log_y = true,
                           .curves = {gaussian, exact, theory}};
  const LineChart history{.title = "History",
                          .x_label = "Images seen",
                          .y_label = "Explained variance",
                          .curves = {{.name = "σ = 5", .x = {1e4, 1e5, 1e6}, .y = {0.4, 0.9, 0.99}}}};
  return {.heading = "What explains the score",
          .facts = {"Measured on points that no model has seen."},
          .charts = {residual, history},
          .tables = {{.caption = "Jacobians.", .columns = {"σ", "overlap"}, .rows = {{"20", "0.99"}, {"5", "0.91"}}}}};
}

inline Report example_report() {
  Report report{
      .title = "Head starts on Fashion-MNIST",
      .subtitle = "Test data, not a measurement: every number and picture on this page is made up to try its design.",
      .date = "1 January 2000",
      .version = "0.0.0-test",
      .spectra = {example_spectrum("All classes", 256, 1.32), example_spectrum("Class 9, ankle boots", 128, 1.5)},
      .runs = {},
      .sweeps = {example_sweep()},
      .studies = {example_study()},
      .provenance = {{"command", "report_example"}, {"program", "headstart 0.0.0-test"}},
      .notes = {
          {"Hardware", "Two cores, OpenBLAS, no GPU. Times are wall times of the whole run, the writing of pictures included."},
          {"What is compared", "All runs share the network, the seeds and the reference; only the solver's grid and the jump differ."}}};
  report.runs.push_back(example_run("off", 18, 0, 6.21, 0));
  report.runs.push_back(example_run("off", 14, 0, 6.34, 0.03));
  report.runs.push_back(example_run("off", 8, 0, 9.87, 0.15));
  report.runs.push_back(example_run("off", 5, 0, 21.4, 0.35));
  report.runs.push_back(example_run("off", 3, 0, 63.9, 0.9));
  report.runs.push_back(example_run("tail", 18, 4, 6.02, 0.1));
  report.runs.push_back(example_run("tail", 10, 4, 7.6, 0.2));
  report.runs.push_back(example_run("tail", 6, 4, 16.4, 0.4));
  report.runs.push_back(example_run("respaced", 8, 4, 6.95, 0.12));
  report.runs.push_back(example_run("respaced", 5, 4, 11.3, 0.25));
  report.runs.push_back(example_run("respaced", 3, 4, 31.8, 0.6));
  report.runs[0].paths = {example_path(0), example_path(3)};
  report.runs[0].provenance = {{"command", "headstart sample --network models/fashion-mnist-28x28-uncond.safetensors --outdir out/plain"}};
  for (std::size_t i = 1; i < report.runs.size(); ++i) {
    if (i == 1 || i == 4 || i == 6 || i == 7) report.runs[i].thumbs.clear();
  }
  return report;
}

/// Texts that break a page whose author forgot to escape them somewhere.
inline Report hostile_report() {
  Report report = example_report();
  const std::string evil = "</script><b onmouseover=\"alert(1)\">'&amp;{{css}}<!--\xff\xe2\x80\xa8";
  report.title = evil;
  report.subtitle = evil;
  report.date = evil;
  report.version = evil;
  report.notes = {{evil, evil}};
  report.provenance = {{evil, evil}};
  report.spectra[0].name = evil;
  report.sweeps[0].label = evil;
  Study& study = report.studies[0];
  study.heading = study.facts[0] = study.charts[0].title = study.charts[0].caption = study.charts[0].x_label = study.charts[0].y_label =
      evil;
  study.charts[0].curves[0].name = study.tables[0].caption = study.tables[0].columns[1] = study.tables[0].rows[0][0] = evil;
  SampleRun& run = report.runs[5];
  run.label = evil;
  run.solver = evil;
  run.seeds = evil;
  run.features = evil;
  run.reference = evil;
  run.metrics = {{evil, 1.0}};
  run.settings = {{evil, evil}};
  run.provenance = {{evil, evil}};
  run.paths = {example_path(2)};
  report.runs[6].features = evil;
  report.runs[6].reference = evil;
  return report;
}

}  // namespace headstart::testing
