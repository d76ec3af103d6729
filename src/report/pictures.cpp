// The sections made of pictures: sample by sample, jump by jump, noise level by noise level, mode by mode.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "html.h"
#include "png_header.h"
#include "sections.h"
#include "spectra.h"

namespace headstart {
namespace {

constexpr const char* kNone = "<td><span class=\"none\">–</span></td>";

/// At most `room` pixels wide and high, where the picture is not larger itself.
std::string picture(const PngFile& png, const std::string& alt, std::uint32_t room = 96) {
  // Whole multiples only: a pixel scaled by 2.3 is two wide here and three wide there.
  const PngSize size = *png_size(png);
  const std::uint32_t scale = std::max(1U, room / std::max(size.width, size.height));
  return fmt::format("<img style=\"--w:{}px\" class=\"x{}\" width=\"{}\" height=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\">",
                     size.width, std::min(scale, 3U), size.width * scale, size.height * scale, html::escape(alt), html::base64(png));
}

/// A table of pictures in a box of its own, so that the page itself never scrolls sideways.
std::string scroll_table(const std::string& caption_id, const std::string& content) {
  return fmt::format(
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"{}\"><table class=\"samples\">{}</table></div>\n", caption_id,
      content);
}

std::string seeds_head(const char* first, const std::vector<std::int64_t>& seeds) {
  std::string out = fmt::format("<thead><tr><th scope=\"col\">{}</th>", first);
  for (const std::int64_t seed : seeds) out += fmt::format("<th scope=\"col\"><span class=\"sr\">seed </span>{}</th>", seed);
  return out + "</tr></thead>\n";
}

std::string skip_name(const SkipStop& stop) { return stop.sigma_skip ? html::number(*stop.sigma_skip) : "none"; }

std::string stop_row(const SkipStop& stop) {
  std::string out = fmt::format(
      "<tr data-skip=\"{0}\" data-nfe=\"{1}\" data-rmse=\"{2}\"><th scope=\"row\"><span>{3}<small>{1} NFE, RMSE {2}</small></span></th>",
      skip_name(stop), stop.nfe, html::number(stop.rmse), stop.sigma_skip ? "σ<sub>skip</sub> " + skip_name(stop) : "no jump");
  for (const Thumb& thumb : stop.thumbs) {
    const std::string how = stop.sigma_skip ? "jump to sigma " + skip_name(stop) : "no jump";
    out += "<td>" + picture(thumb.png, fmt::format("Seed {}, {}", thumb.seed, how)) + "</td>";
  }
  return out + "</tr>\n";
}

/// The part that only works with scripts, hidden until page.js has filled it from the table's rows.
std::string slider(const SkipSweep& sweep, const std::string& id) {
  std::string labels;
  constexpr std::size_t kReadable = 9;
  if (sweep.stops.size() <= kReadable) {
    for (const SkipStop& stop : sweep.stops) labels += "<span>" + skip_name(stop) + "</span>";
  }
  return fmt::format(
      "<div class=\"slider\" hidden><label for=\"{0}-range\">Jump to σ<sub>skip</sub></label>\n"
      "<input id=\"{0}-range\" type=\"range\" min=\"0\" max=\"{1}\" step=\"1\" value=\"0\" aria-describedby=\"{0}-caption\">\n"
      "<div class=\"ticks\" aria-hidden=\"true\">{2}</div>\n"
      "<output for=\"{0}-range\" aria-live=\"off\"><span><span>σ<sub>skip</sub></span><b data-value=\"skip\"></b></span>"
      "<span>NFE<b data-value=\"nfe\"></b></span><span>RMSE<b data-value=\"rmse\"></b></span></output>\n"
      "<div class=\"pictures\"></div></div>\n",
      id, sweep.stops.size() - 1, labels);
}

struct PathRow {
  const char* name;
  const char* what;
  PngFile PathStep::*png;
};

std::string path_rows(const SamplingPath& path, bool closed) {
  static constexpr PathRow kDenoised = {"Sampler", "denoised", &PathStep::denoised};
  static constexpr PathRow kClosedDenoised = {"Closed form", "denoised", &PathStep::closed_denoised};
  static constexpr PathRow kState = {"Sampler", "state", &PathStep::state};
  static constexpr PathRow kClosedState = {"Closed form", "state", &PathStep::closed_state};
  const auto row = [&](const PathRow& r) {
    std::string out = fmt::format("<tr><th scope=\"row\"><span>{}<small>{}</small></span></th>", r.name, r.what);
    for (const PathStep& step : path.steps) {
      out += "<td>" +
             picture(step.*r.png, fmt::format("Seed {}, {}, {}, sigma {}", path.seed, r.name, r.what, html::number(step.sigma)), 60) +
             "</td>";
    }
    return out + "</tr>\n";
  };
  std::string out = row(kDenoised);
  if (closed) {
    out += row(kClosedDenoised) + "<tr><th scope=\"row\"><span>Difference<small>RMSE, denoised</small></span></th>";
    for (const PathStep& step : path.steps) out += "<td class=\"rmse\">" + html::fixed(*step.rmse, 3) + "</td>";
    out += "</tr>\n";
  }
  return out + row(kState) + (closed ? row(kClosedState) : "");
}

/// One table for all seeds of a run: they share their columns and scroll together.
std::string paths_table(const SampleRun& run, bool closed, const std::string& caption_id) {
  const auto& steps = run.paths.front().steps;
  std::string table = "<thead><tr><th scope=\"col\">Noise level σ</th>";
  for (const PathStep& step : steps) table += fmt::format("<th scope=\"col\">{}</th>", html::number(step.sigma));
  table += "</tr></thead>\n";
  for (const SamplingPath& path : run.paths) {
    table += fmt::format("<tbody><tr class=\"group\"><th scope=\"rowgroup\">Seed {}</th><td colspan=\"{}\"></td></tr>\n", path.seed,
                         steps.size()) +
             path_rows(path, closed) + "</tbody>\n";
  }
  return scroll_table(caption_id, table);
}

std::string mode_item(const PngFile& png, const std::string& name, const std::string& facts) {
  return fmt::format("<li>{}<b>{}</b>{}</li>\n", picture(png, name), name, facts);
}

}  // namespace

std::string samples_section(const Report& report, Numbering& numbering) {
  std::vector<std::int64_t> seeds;
  for (const SampleRun& run : report.runs) {
    for (const Thumb& thumb : run.thumbs) {
      if (std::find(seeds.begin(), seeds.end(), thumb.seed) == seeds.end()) seeds.push_back(thumb.seed);
    }
  }
  if (seeds.empty()) return "";
  std::sort(seeds.begin(), seeds.end());
  std::string table = seeds_head("Run", seeds) + "<tbody>";
  for (const SampleRun& run : report.runs) {
    if (run.thumbs.empty()) continue;
    table += fmt::format("<tr><th scope=\"row\"><div>{}<span>{}<small>{}{} NFE</small></span></div></th>", mode_mark(run.teleport),
                         html::escape(run.label), run.sigma_skip ? fmt::format("σ<sub>skip</sub> {}, ", html::number(*run.sigma_skip)) : "",
                         run.nfe);
    for (const std::int64_t seed : seeds) {
      const auto thumb = std::find_if(run.thumbs.begin(), run.thumbs.end(), [&](const Thumb& t) { return t.seed == seed; });
      table += thumb == run.thumbs.end()
                   ? kNone
                   : "<td>" + picture(thumb->png, fmt::format("Seed {}, {}, {} NFE", seed, run.label, run.nfe)) + "</td>";
    }
    table += "</tr>\n";
  }
  return fmt::format(
      "<section id=\"samples\"><h2>The same seeds, side by side</h2>\n<figure>{}"
      "<figcaption id=\"samples-caption\"><b>Figure {}.</b> One row a run, one column a seed: all pictures of a column start from the same "
      "noise.</figcaption></figure></section>\n",
      scroll_table("samples-caption", table + "</tbody>"), ++numbering.figures);
}

std::string sweep_section(const Report& report, Numbering& numbering) {
  if (report.sweeps.empty()) return "";
  std::string figures;
  for (std::size_t i = 0; i < report.sweeps.size(); ++i) {
    const SkipSweep& sweep = report.sweeps[i];
    const std::string id = fmt::format("sweep-{}", i);
    std::vector<std::int64_t> seeds;
    for (const Thumb& thumb : sweep.stops.front().thumbs) seeds.push_back(thumb.seed);
    std::string table = seeds_head("Jump", seeds) + "<tbody>";
    for (const SkipStop& stop : sweep.stops) table += stop_row(stop);
    figures += fmt::format(
        "<figure class=\"sweep\">{}<details open><summary>All of them in one table</summary>{}</details>\n"
        "<figcaption id=\"{}-caption\"><b>Figure {}.</b> {}: the same {} seeds while the closed-form jump carries their noise lower and "
        "the "
        "sampler does only the rest of its grid. NFE is what is left to pay; RMSE is the distance to the run without a jump, black to "
        "white "
        "counting as 2.</figcaption></figure>\n",
        slider(sweep, id), scroll_table(id + "-caption", table + "</tbody>"), id, ++numbering.figures, html::escape(sweep.label),
        seeds.size());
  }
  return "<section id=\"sweep\"><h2>The same seeds, as the jump goes lower</h2>\n" + figures + "</section>\n";
}

std::string paths_section(const Report& report, Numbering& numbering) {
  std::string figures;
  for (const SampleRun& run : report.runs) {
    if (run.paths.empty()) continue;
    const bool closed = !run.paths.front().steps.front().closed_denoised.empty();
    const std::string id = fmt::format("paths-caption-{}", ++numbering.figures);
    figures += fmt::format(
        "<figure>{}<figcaption id=\"{}\"><b>Figure {}.</b> {}: from noise on the left to the picture on the right. The denoised estimate "
        "is "
        "what the model takes the finished picture to be at noise level σ; the state is the noisy picture it sees there, drawn divided by "
        "√(1 + 4σ²).{}</figcaption></figure>\n",
        paths_table(run, closed, id), id, numbering.figures, html::escape(run.label),
        closed ? " The closed form starts from the same noise and follows the Gaussian's formula without any evaluation of the network. "
                 "As far down as the two estimates agree, a jump loses nothing; RMSE counts black to white as 2."
               : "");
  }
  return figures.empty() ? "" : "<section id=\"paths\"><h2>From noise to picture</h2>\n" + figures + "</section>\n";
}

std::string modes_figure(const Spectrum& spectrum, Numbering& numbering) {
  if (spectrum.mean.empty()) return "";
  const double total = total_variance(spectrum);
  std::string items = mode_item(spectrum.mean, "Mean", "");
  for (std::size_t k = 0; k < spectrum.modes.size(); ++k) {
    const double value = std::max(spectrum.eigenvalues[k], 0.0);
    items += mode_item(spectrum.modes[k], fmt::format("Mode {}", k + 1),
                       fmt::format("<span>λ {}</span><span>{}\u202f%</span><span>σ {}</span>", html::number(value),
                                   html::fixed(value / total * 100, 1), html::number(std::sqrt(value))));
  }
  return fmt::format(
      "<figure><ul class=\"modes\">{}</ul><figcaption><b>Figure {}.</b> {}: the mean and the leading eigenvectors, with the eigenvalue λ, "
      "its share of the variance, and σ = √λ, the noise level around which sampling decides the mode. Each eigenvector has a scale of its "
      "own about mid-grey, which is zero; its sign means nothing.</figcaption></figure>\n",
      items, ++numbering.figures, html::escape(spectrum.name));
}

}  // namespace headstart
