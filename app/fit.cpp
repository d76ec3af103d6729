#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>

#include "cli.h"
#include "data_tensors.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"
#include "headstart/moments/moments.h"
#include "headstart/moments/randomised.h"

namespace headstart::app {
namespace {

struct Options {
  std::string data, as, out, tail = "mean", method = "auto";
  double memory = 0;  // GB; 0: half of what is available
  FitOptions fit{};
  RandomisedOptions randomised{};
};

std::optional<FitMethod> parse_method(const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (name == "dense") return FitMethod::dense;
  if (name == "randomised") return FitMethod::randomised;
  throw InvalidArgument("--method: expected one of auto, dense, randomised, got " + name);
}

void stop_if_interrupted() {
  if (interrupted()) throw Interrupted();
}

GaussianStats fit_densely(Options& o, const Cli& cli, ImageStream& stream, std::int64_t wanted) {
  Progress progress(cli, "fitting", wanted, "images");
  o.fit.on_progress = [&](std::int64_t done) {
    progress.update(done);
    stop_if_interrupted();
  };
  return fit_gaussian(stream, o.fit);
}

RandomisedFit fit_randomly(Options& o, const Cli& cli, ImageStream& stream, std::int64_t wanted) {
  std::optional<Progress> progress;
  std::int64_t current = 0;
  o.randomised.on_progress = [&](std::int64_t pass, std::int64_t done) {
    if (pass != current) progress.emplace(cli, fmt::format("fitting, pass {}", current = pass), wanted, "images");
    progress->update(done);
    stop_if_interrupted();
  };
  return fit_gaussian_randomised(stream, o.randomised);
}

nlohmann::ordered_json number_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json fit_verb(Options& o, const Cli& cli) {
  if (o.tail != "mean" && o.tail != "zero") throw InvalidArgument("--tail: expected one of mean, zero, got " + o.tail);
  if (o.fit.cut.rank > 0 && o.fit.cut.energy > 0) throw InvalidArgument("--rank and --energy: expected one of them, got both");
  o.fit.cut.mean_tail = o.randomised.mean_tail = o.tail == "mean";
  for (const auto& [name, value] :
       {std::pair("--energy", o.fit.cut.energy), {"--memory", o.memory}, {"--tolerance", o.randomised.tolerance}})
    if (!std::isfinite(value)) throw InvalidArgument(fmt::format("{}: expected a number, got one that is none", name));
  const auto method = parse_method(o.method);
  require_folder_of(o.out);
  const double start = now();
  const auto stream = open_data(o.data, o.as);
  const std::int64_t dim = stream->shape().dim();
  if (o.fit.cut.rank > dim)
    throw InvalidArgument(fmt::format("--rank: expected at most D = {} for {}, got {}", dim, o.data, o.fit.cut.rank));
  const std::int64_t wanted = o.fit.limit > 0 ? std::min(o.fit.limit, stream->count()) : stream->count();
  const double memory = o.memory > 0 ? o.memory * 1e9 : available_memory() / 2;
  const FitPlan plan = plan_fit({.dim = dim, .count = wanted, .rank = o.fit.cut.rank, .memory = memory, .method = method});
  const bool is_dense = plan.method == FitMethod::dense;

  o.randomised.rank = o.fit.cut.rank;
  o.randomised.columns = plan.columns;
  o.randomised.limit = o.fit.limit;
  RandomisedFit fit;
  if (is_dense)
    fit.stats = fit_densely(o, cli, *stream, wanted);
  else
    fit = fit_randomly(o, cli, *stream, wanted);
  const GaussianStats& stats = fit.stats;
  save_stats(o.out, stats);

  nlohmann::ordered_json json;
  json["out"] = o.out;
  json["count"] = stats.count;
  json["dim"] = stats.dim();
  json["rank"] = stats.rank();
  json["trace"] = stats.trace();
  json["energy"] = o.tail == "mean" ? number_or_null(stats.energy()) : nullptr;  // zero tails forget the rest
  json["tail"] = stats.tail;
  json["most_negative_eigenvalue"] = stats.clipped;
  json["components"] = 1;
  json["log_likelihood"] = number_or_null(fitted_log_likelihood(stats));
  json["method"] = to_string(plan.method);
  json["passes"] = is_dense ? 1 : fit.passes;
  json["residual"] = is_dense ? nlohmann::ordered_json(nullptr) : number_or_null(fit.residual);
  json["energy_error"] = is_dense ? nlohmann::ordered_json(nullptr) : number_or_null(fit.energy_error);
  json["seconds"] = now() - start;
  say(cli, fmt::format("{}: Gaussian of {} points in {} dimensions, rank {}, trace {:.4g}, tail {:.3g}, {:.1f} s", o.out, stats.count,
                       stats.dim(), stats.rank(), stats.trace(), stats.tail, json["seconds"].get<double>()));
  const std::string allowed = fmt::format("{:.2f} of {:.2f} GB allowed", plan.bytes * 1e-9, memory * 1e-9);
  if (is_dense) {
    say(cli, fmt::format("dense fit, {}", allowed));
  } else {
    say(cli, fmt::format(
                 "randomised fit, {} (dense: {:.2f}), {} passes, largest relative residual {:.2g}, at most {:.2g} of the variance missed",
                 allowed, dense_fit_bytes(dim) * 1e-9, fit.passes, fit.residual, fit.energy_error));
    if (fit.residual > o.randomised.tolerance)
      say(cli, fmt::format("not within --tolerance {:.2g}: a lower --rank or more --max_passes would be", o.randomised.tolerance));
  }
  return json;
}

}  // namespace

void add_fit(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "fit", "Fit a Gaussian to a data set: mean, eigenbasis, eigenvalues, tail.",
                        [o](const Cli& c) { return fit_verb(*o, c); });
  verb->add_option("data", o->data, "images or points (DATA)")->required();
  add_as_option(*verb, o->as);
  verb->add_option("--out", o->out, "statistics file to write (.safetensors)")->required();
  verb->add_option("--rank", o->fit.cut.rank, "keep this many eigenvectors")->check(CLI::PositiveNumber);
  verb->add_option("--energy", o->fit.cut.energy, "keep the fewest eigenvectors with this share of the variance (dense fit only)")
      ->check(CLI::Range(1e-12, 1.0));
  verb->add_option("--tail", o->tail, "variance of the rest: mean (of the eigenvalues cut off) or zero")->capture_default_str();
  verb->add_option("--limit", o->fit.limit, "first images only")->check(CLI::PositiveNumber);
  verb->add_option("--method", o->method, "dense (all of the covariance), randomised (a low rank of it), or auto: dense where it fits")
      ->capture_default_str();
  verb->add_option("--memory", o->memory, "GB that the fit may take (default: half of what is free)")->check(CLI::PositiveNumber);
  verb->add_option("--tolerance", o->randomised.tolerance, "randomised: largest residual of an eigenvector, relative to its eigenvalue")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--max_passes", o->randomised.max_passes, "randomised: passes over the data at most")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  verb->add_option("--seed", o->randomised.seed, "randomised: of the first subspace")->capture_default_str();
}

}  // namespace headstart::app
