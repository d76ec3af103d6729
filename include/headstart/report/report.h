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

/// A whole PNG file. It is embedded as it is and scaled without smoothing.
using PngFile = std::vector<std::uint8_t>;

/// One fitted Gaussian: its eigenvalues for the two spectrum charts, its mean and leading eigenvectors as pictures.
struct Spectrum {
  std::string name{};                 ///< what was fitted, e.g. "Fashion-MNIST, all classes"; unique in a report
  std::vector<double> eigenvalues{};  ///< variances, descending, not empty, R <= dim of them; >= 0 up to rounding
  double tail = 0;                    ///< variance of each of the dim - R directions that are not listed
  std::int64_t dim = 0;               ///< D; 0 means R
  std::int64_t count = 0;             ///< images the Gaussian was fitted to; 0 where unknown (left out of the caption)
  ImageShape shape{};                 ///< left out of the caption where it is {0, 0, 0}
  PngFile mean{};                     ///< empty: no pictures of this Gaussian
  std::vector<PngFile> modes{};       ///< leading eigenvectors about mid-grey; the k-th belongs to the k-th eigenvalue; only beside `mean`
};

/// One sample picture. Pictures of different runs stand in the same column where their seeds are equal.
struct Thumb {
  std::int64_t seed = 0;
  PngFile png{};
};

/// One noise level of a path, for the sampler and for the closed form that started from the same noise.
struct PathStep {
  double sigma = 0;
  PngFile denoised{};         ///< the model's estimate of the finished picture
  PngFile state{};            ///< the noisy picture, scaled so that it can be seen
  PngFile closed_denoised{};  ///< the closed form's; this, closed_state and rmse are there at every step of a run's paths or at none
  PngFile closed_state{};
  std::optional<double> rmse{};  ///< between the two denoised estimates, black to white being 2
};

/// What a sampler held on its way from one seed's noise to its picture.
struct SamplingPath {
  std::int64_t seed = 0;
  std::vector<PathStep> steps{};  ///< sigma strictly descending; a final 0 is the finished picture
};

/// The same seeds after one jump, or after none.
struct SkipStop {
  std::optional<double> sigma_skip{};  ///< empty: the full run
  std::int64_t nfe = 0;
  double rmse = 0;  ///< of these pictures to the full run's, black to white being 2
  std::vector<Thumb> thumbs{};
};

/// The same seeds while the jump goes lower, for the reader to drag through. All stops show the same seeds in the same order.
struct SkipSweep {
  std::string label{};            ///< what was sampled, e.g. "heun 18"; unique in a report
  std::vector<SkipStop> stops{};  ///< at least two: the full run, then sigma_skip strictly descending
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
  std::string teleport = "off";          ///< "off", "tail", "respaced" or "replace"
  std::optional<double> sigma_skip{};    ///< where the jump landed (replace: the switch); empty without
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
  std::vector<SamplingPath> paths{};  ///< all with the same sigmas
  ReportPairs settings{};             ///< everything else that decides the result, listed in full and in every tooltip
  ReportPairs provenance{};           ///< command line, hashes, versions: listed in full, too long for tooltips
};

/// One line of a chart.
struct Curve {
  std::string name{};                       ///< unique in its chart
  std::vector<double> x{}, y{};             ///< equally many; y may be NaN where there is no value
  std::vector<ReportInterval> intervals{};  ///< of y, one a point, or none
  bool prediction = false;                  ///< drawn muted and dashed without marks: what theory says, beside what was measured
};

/// Lines over one axis. Points that a logarithmic axis cannot show are left out.
struct LineChart {
  std::string title{};  ///< above the chart where there are several in a study; its caption's first words
  std::string caption{};
  std::string x_label{}, y_label{};
  bool log_x = false, log_y = false;
  std::vector<Curve> curves{};
};

/// Rows of texts; numbers are formatted by whoever knows what they are.
struct ReportTable {
  std::string caption{};
  std::vector<std::string> columns{};
  std::vector<std::vector<std::string>> rows{};  ///< each as long as `columns`; the first column names the row
};

/// One question and what was measured to answer it: a comparison of scores, a trajectory, a network's history.
struct Study {
  std::string heading{};             ///< unique in a report
  std::vector<std::string> facts{};  ///< paragraphs under the heading
  std::vector<LineChart> charts{};
  std::vector<ReportTable> tables{};
};

/// What one page shows. A section whose data are missing is left out.
struct Report {
  std::string title = "headstart report";
  std::string subtitle{};  ///< one sentence under the title; left out where empty
  std::string date{};      ///< as it is to be printed: the renderer never reads the clock, so equal reports give equal pages
  std::string version{};   ///< of the program that measured
  std::vector<Spectrum> spectra{};
  std::vector<SampleRun> runs{};
  std::vector<SkipSweep> sweeps{};
  std::vector<Study> studies{};
  ReportPairs provenance{};  ///< of the page itself: command line, hashes, versions
  ReportPairs notes{};       ///< heading and paragraph of each remark at the end of the page
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
///         sigmas not strictly descending from above 0, sigma_skip missing with teleport or given without, a picture that is not a PNG,
///         frechet without features or number, an empty or ascending spectrum, more modes than eigenvalues, paths of other sigmas or half
///         with a closed form, a sweep of fewer than two stops, out of order or of other seeds, a curve whose lists differ in length, a
///         table with a row of another length
/// Cost: linear in the size of the page, which is 0.3 MB plus 4/3 of the PNG files.
std::string render_report(const Report& report);

}  // namespace headstart
