#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "cli.h"
#include "headstart/error.h"
#include "headstart/moments/moments.h"

namespace headstart::app {
namespace {

struct Options {
  std::string data, out, tail = "mean";
  FitOptions fit{};
};

nlohmann::ordered_json fit_verb(Options& o, const Cli& cli) {
  if (o.tail != "mean" && o.tail != "zero") throw InvalidArgument("--tail: expected one of mean, zero, got " + o.tail);
  if (o.fit.cut.rank > 0 && o.fit.cut.energy > 0) throw InvalidArgument("--rank and --energy: expected one of them, got both");
  o.fit.cut.mean_tail = o.tail == "mean";
  if (!std::isfinite(o.fit.cut.energy)) throw InvalidArgument("--energy: expected a share in (0, 1], got a number that is none");
  require_folder_of(o.out);
  const double start = now();
  const auto stream = open_images(o.data);
  const std::int64_t dim = stream->shape().dim();
  if (o.fit.cut.rank > dim)
    throw InvalidArgument(fmt::format("--rank: expected at most D = {} for {}, got {}", dim, o.data, o.fit.cut.rank));
  const std::int64_t wanted = o.fit.limit > 0 ? std::min(o.fit.limit, stream->count()) : stream->count();
  Progress progress(cli, "fitting", wanted, "images");
  o.fit.on_progress = [&](std::int64_t done) {
    progress.update(done);
    if (interrupted()) throw Interrupted();
  };
  const GaussianStats stats = fit_gaussian(*stream, o.fit);
  save_stats(o.out, stats);

  nlohmann::ordered_json json;
  json["out"] = o.out;
  json["count"] = stats.count;
  json["dim"] = stats.dim();
  json["rank"] = stats.rank();
  json["trace"] = stats.trace();
  json["energy"] =
      o.tail == "mean" ? nlohmann::ordered_json(stats.energy()) : nlohmann::ordered_json(nullptr);  // zero tails forget the rest
  json["tail"] = stats.tail;
  json["most_negative_eigenvalue"] = stats.clipped;
  json["components"] = 1;
  const double log_likelihood = fitted_log_likelihood(stats);
  json["log_likelihood"] = std::isfinite(log_likelihood) ? nlohmann::ordered_json(log_likelihood) : nlohmann::ordered_json(nullptr);
  json["seconds"] = now() - start;
  say(cli, fmt::format("{}: Gaussian of {} points in {} dimensions, rank {}, trace {:.4g}, tail {:.3g}, {:.1f} s", o.out, stats.count,
                       stats.dim(), stats.rank(), stats.trace(), stats.tail, json["seconds"].get<double>()));
  return json;
}

}  // namespace

void add_fit(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "fit", "Fit a Gaussian to a data set: mean, eigenbasis, eigenvalues, tail.",
                        [o](const Cli& c) { return fit_verb(*o, c); });
  verb->add_option("data", o->data, "images or points (DATA)")->required();
  verb->add_option("--out", o->out, "statistics file to write (.safetensors)")->required();
  verb->add_option("--rank", o->fit.cut.rank, "keep this many eigenvectors")->check(CLI::PositiveNumber);
  verb->add_option("--energy", o->fit.cut.energy, "keep the fewest eigenvectors with this share of the variance")
      ->check(CLI::Range(1e-12, 1.0));
  verb->add_option("--tail", o->tail, "variance of the rest: mean (of the eigenvalues cut off) or zero")->capture_default_str();
  verb->add_option("--limit", o->fit.limit, "first images only")->check(CLI::PositiveNumber);
}

}  // namespace headstart::app
