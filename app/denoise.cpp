#include <fmt/format.h>

#include <memory>

#include "cli.h"
#include "data_tensors.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/moments/moments.h"
#include "headstart/nets/network.h"
#include "points.h"

namespace headstart::app {
namespace {

struct Options {
  std::string points, out, stats, network, isotropic, as = "denoised";
  double sigma = 0;
};

std::shared_ptr<Denoiser> open_model(const Options& o, const Cli& cli) {
  if (static_cast<int>(!o.stats.empty()) + static_cast<int>(!o.network.empty()) + static_cast<int>(!o.isotropic.empty()) != 1)
    throw InvalidArgument("denoise: expected exactly one of --stats, --network, --isotropic");
  if (!o.network.empty()) return load_network(o.network, cli.device);
  if (!o.stats.empty()) return std::make_shared<GaussianDenoiser>(load_stats(o.stats));
  const auto stream = open_data(o.isotropic);
  Progress progress(cli, "fitting", stream->count(), "images");
  const GaussianStats stats = fit_gaussian(*stream, {.on_progress = [&](std::int64_t done) {
    progress.update(done);
    if (interrupted()) throw Interrupted();
  }});
  return std::make_shared<IsotropicDenoiser>(stats.mean, stats.trace() / static_cast<double>(stats.dim()));
}

nlohmann::ordered_json denoise_verb(const Options& o, const Cli& cli) {
  if (o.as != "denoised" && o.as != "score") throw InvalidArgument("--as: expected one of denoised, score, got " + o.as);
  if (!(o.sigma > 0)) throw InvalidArgument(fmt::format("--sigma: expected a number > 0, got {}", o.sigma));
  const auto model = open_model(o, cli);
  const Points points = read_points(o.points, model->dim());
  const torch::Tensor sigma = torch::scalar_tensor(o.sigma, torch::kFloat64);
  const double start = now();
  const torch::Tensor result = o.as == "score" ? score(*model, points.values, sigma) : model->denoise(points.values, sigma);
  const double seconds = now() - start;
  write_points(o.out, result, points.dtype);
  say(cli, fmt::format("{}: {} points, {} at sigma {}", o.out, result.size(0), o.as, o.sigma));
  nlohmann::ordered_json json;
  json["out"] = o.out;
  json["count"] = result.size(0);
  json["dim"] = result.size(1);
  json["sigma"] = o.sigma;
  json["as"] = o.as;
  json["seconds"] = seconds;
  return json;
}

}  // namespace

void add_denoise(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "denoise", "Evaluate any denoiser at given points.", [o](const Cli& c) { return denoise_verb(*o, c); });
  verb->add_option("points", o->points, "points, .npy float [B, D]")->required();
  verb->add_option("--sigma", o->sigma, "noise level")->required();
  verb->add_option("--out", o->out, ".npy to write, dtype of the points")->required();
  verb->add_option("--stats", o->stats, "a fitted Gaussian");
  verb->add_option("--network", o->network, "a trained network");
  verb->add_option("--isotropic", o->isotropic, "the isotropic Gaussian of these data (DATA)");
  verb->add_option("--as", o->as, "denoised or score")->capture_default_str();
}

}  // namespace headstart::app
