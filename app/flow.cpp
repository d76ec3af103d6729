#include <fmt/format.h>

#include <memory>

#include "cli.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/solve/noise.h"
#include "points.h"

namespace headstart::app {
namespace {

struct Options {
  std::string points, out, stats, seeds;
  double from = 0, to = 0;
  bool stochastic = false;
};

nlohmann::ordered_json flow_verb(const Options& o, const Cli& cli) {
  if (!(o.from > 0)) throw InvalidArgument(fmt::format("--from: expected a noise level > 0, got {}", o.from));
  if (!(o.to >= 0)) throw InvalidArgument(fmt::format("--to: expected a noise level >= 0, got {}", o.to));
  if (o.stochastic && !(o.to < o.from)) throw InvalidArgument("--to: expected a level below --from for --stochastic");
  if (o.stochastic && o.seeds.empty()) throw InvalidArgument("--seeds: expected one seed a point for --stochastic");
  const GaussianStats stats = load_stats(o.stats);
  const Points points = read_points(o.points, stats.dim());
  const SigmaStep step{.from = o.from, .to = o.to};
  const double start = now();
  torch::Tensor result;
  if (o.stochastic) {
    const auto seeds = parse_seeds(o.seeds);
    if (static_cast<std::int64_t>(seeds.size()) != points.values.size(0))
      throw InvalidArgument(fmt::format("--seeds: expected {} seeds, one a point, got {}", points.values.size(0), seeds.size()));
    result = stochastic_jump(stats, points.values, step, noise_of(seeds, stats.shape));
  } else {
    result = gaussian_flow(stats, points.values, step);
  }
  const double seconds = now() - start;
  write_points(o.out, result, points.dtype);
  say(cli, fmt::format("{}: {} points from sigma {} to {}", o.out, result.size(0), o.from, o.to));
  nlohmann::ordered_json json;
  json["out"] = o.out;
  json["count"] = result.size(0);
  json["dim"] = result.size(1);
  json["from"] = o.from;
  json["to"] = o.to;
  json["stochastic"] = o.stochastic;
  json["seconds"] = seconds;
  return json;
}

}  // namespace

void add_flow(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "flow", "Carry points between noise levels by a Gaussian's exact probability flow.",
                        [o](const Cli& c) { return flow_verb(*o, c); });
  verb->add_option("points", o->points, "points, .npy float [B, D]")->required();
  verb->add_option("--stats", o->stats, "a fitted Gaussian")->required();
  verb->add_option("--from", o->from, "noise level the points are at")->required();
  verb->add_option("--to", o->to, "noise level to carry them to")->required();
  verb->add_option("--out", o->out, ".npy to write, dtype of the points")->required();
  verb->add_flag("--stochastic", o->stochastic, "a draw from the reverse SDE instead of the ODE's solution");
  verb->add_option("--seeds", o->seeds, "with --stochastic: one seed a point, such as 0-63");
}

}  // namespace headstart::app
