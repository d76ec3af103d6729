#pragma once
// Result structs and the one self-contained HTML page made of them. No torch, no files, no network: strings in, one string out.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "headstart/data/image_shape.h"

namespace headstart {

/// Ordered name/value pairs, shown as they are.
using ReportPairs = std::vector<std::pair<std::string, std::string>>;

/// The eigenvalues of one fitted Gaussian. Only what the two spectrum charts and their caption need.
struct Spectrum {
  std::string name{};                 ///< what was fitted, e.g. "Fashion-MNIST, all classes"; unique in a report
  std::vector<double> eigenvalues{};  ///< variances, descending, not empty, R <= dim of them; >= 0 up to rounding
  double tail = 0;                    ///< variance of each of the dim - R directions that are not listed
  std::int64_t dim = 0;               ///< D; 0 means R
  std::int64_t count = 0;             ///< images the Gaussian was fitted to; 0 where unknown (left out of the caption)
  ImageShape shape{};                 ///< left out of the caption where it is {0, 0, 0}
};

/// One sample picture. Pictures of different runs stand in the same column where their seeds are equal.
struct Thumb {
  std::int64_t seed = 0;
  std::vector<std::uint8_t> png{};  ///< a whole PNG file; it is embedded as it is and scaled without smoothing
};

/// A closed interval, e.g. the bootstrap interval of a metric.
struct ReportInterval {
  double low = 0;
  double high = 0;
};

/// One sampling run: how it was made, what it cost and how good it is.
struct SampleRun {
  std::string label{};                   ///< short and unique in a report: it names the run everywhere
  std::string solver{};                  ///< "heun", "dpmpp_2m", ...
  std::string teleport = "off";          ///< "off", "tail" or "respaced"
  std::optional<double> sigma_skip{};    ///< where the jump was asked to land; empty without teleport
  std::int64_t nfe = 0;                  ///< network evaluations a sample
  std::int64_t steps = 0;                ///< grid points as the user gave them
  std::vector<double> sigmas{};          ///< the grid the solver worked on, strictly descending; a final 0 is fine
  std::vector<double> skipped_sigmas{};  ///< grid points the jump passed over, descending; the first is where it started
  std::int64_t count = 0;                ///< samples made
  std::string seeds{};                   ///< as the user gave them, "0-2047"
  double seconds = 0;                    ///< wall time of the whole run
  double images_per_second = 0;
  std::optional<double> frechet{};  ///< Frechet distance; empty where it was not measured
  std::optional<ReportInterval> frechet_interval{};
  std::string features{};                                 ///< the feature space of `frechet`; never empty where frechet is given
  std::int64_t frechet_num = 0;                           ///< samples that went into `frechet`
  std::string reference{};                                ///< what `frechet` was measured against
  std::vector<std::pair<std::string, double>> metrics{};  ///< further metrics, e.g. {"kid", 0.0031}; one column a name
  std::vector<Thumb> thumbs{};
  ReportPairs settings{};  ///< everything else worth knowing, listed in full and in every tooltip
};

/// What one page shows. A section whose data are missing is left out.
struct Report {
  std::string title = "headstart report";
  std::string subtitle{};  ///< one sentence under the title; left out where empty
  std::string date{};      ///< as it is to be printed: the renderer never reads the clock, so equal reports give equal pages
  std::string version{};   ///< of the program that measured
  std::vector<Spectrum> spectra{};
  std::vector<SampleRun> runs{};
  ReportPairs notes{};  ///< heading and paragraph of each remark at the end of the page
};

/// One self-contained HTML page: styles, scripts, charts and pictures are inside, nothing is ever fetched, it works from file://.
///
/// Texts are escaped (and repaired where they are not UTF-8), so no label can break the page. Distances are compared, marked best and
/// drawn together only among runs with equal `features`, `frechet_num` and `reference`.
///
/// Once its charts are drawn the page says so for machines: `data-ready="true"` and `data-charts`, the number of charts that are not
/// blank, on the body; uncaught errors are collected in `window.__headstart_errors`.
///
/// @return  UTF-8 text; equal reports give equal bytes
/// @throws InvalidArgument naming the run or spectrum: unknown teleport mode, duplicate or empty label, a number that is not finite,
///         sigmas not strictly descending from above 0, sigma_skip missing with teleport or given without, a thumb that is not a PNG,
///         frechet without features or number, an empty or ascending spectrum
/// Cost: linear in the size of the page, which is 0.3 MB plus 4/3 of the pictures.
std::string render_report(const Report& report);

}  // namespace headstart
