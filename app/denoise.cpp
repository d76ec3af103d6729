#include <fmt/format.h>

#include <memory>

#include "cli.h"
#include "denoisers.h"
#include "headstart/error.h"
#include "points.h"

namespace headstart::app {
namespace {

struct Options {
  std::string points, out, as = "denoised";
  double sigma = 0;
  ModelOptions model{.takes_isotropic = true};
};

nlohmann::ordered_json denoise_verb(const Options& o, const Cli& cli) {
  if (o.as != "denoised" && o.as != "score") throw InvalidArgument("--as: expected one of denoised, score, got " + o.as);
  if (!(o.sigma > 0)) throw InvalidArgument(fmt::format("--sigma: expected a number > 0, got {}", o.sigma));
  require_folder_of(o.out);
  const Model model = open_model(o.model, cli, "denoise");
  const Denoiser& denoiser = *model.denoiser;
  const Points points = read_points(o.points, denoiser.dim());
  const torch::Tensor sigma = torch::scalar_tensor(o.sigma, torch::kFloat64);
  const double start = now();
  const torch::Tensor result = o.as == "score" ? score(denoiser, points.values, sigma) : denoiser.denoise(points.values, sigma);
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
  add_model_options(*verb, o->model);
  verb->add_option("--as", o->as, "denoised or score")->capture_default_str();
}

}  // namespace headstart::app
