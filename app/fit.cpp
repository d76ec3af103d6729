#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "cli.h"
#include "data_tensors.h"
#include "fit_network.h"
#include "headstart/error.h"
#include "headstart/moments/fit_method.h"
#include "headstart/moments/fit_mixture.h"
#include "headstart/moments/moments.h"
#include "headstart/moments/randomised.h"

namespace headstart::app {
namespace {

struct Options {
  std::string data, as, out, tail = "mean", method = "auto", components = "1", covariance = "lowrank";
  bool per_class = false;
  double memory = 0;  // GB; 0: half of what is available
  FitOptions fit{};
  RandomisedOptions randomised{};
  MixtureOptions mixture{};
  FromNetwork network{};

  bool is_mixture() const { return components != "1" || per_class || covariance != "lowrank"; }
  double bytes() const { return memory > 0 ? memory * 1e9 : available_memory() / 2; }
};

std::optional<FitMethod> parse_method(const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (name == "dense") return FitMethod::dense;
  if (name == "randomised") return FitMethod::randomised;
  throw InvalidArgument("--method: expected one of auto, dense, randomised, got " + name);
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

/// What the result says of one Gaussian and of several alike.
template <class Stats>
nlohmann::ordered_json described(const Options& o, const Stats& stats) {
  nlohmann::ordered_json json;
  json["out"] = o.out;
  json["count"] = stats.count;
  json["dim"] = stats.dim();
  json["rank"] = stats.rank();
  json["trace"] = stats.trace();
  json["energy"] = o.tail == "mean" ? number_or_null(stats.energy()) : nullptr;  // zero tails forget the rest
  return json;
}

nlohmann::ordered_json fit_one_gaussian(Options& o, const Cli& cli, ImageStream& stream, std::int64_t wanted, double start) {
  const auto method = parse_method(o.method);
  const std::int64_t dim = stream.shape().dim();
  const double memory = o.bytes();
  const FitPlan plan = plan_fit({.dim = dim, .count = wanted, .rank = o.fit.cut.rank, .memory = memory, .method = method});
  const bool is_dense = plan.method == FitMethod::dense;

  o.fit.cut.mean_tail = o.randomised.mean_tail = o.tail == "mean";
  o.randomised.rank = o.fit.cut.rank;
  o.randomised.columns = plan.columns;
  o.randomised.limit = o.fit.limit;
  RandomisedFit fit;
  if (is_dense)
    fit.stats = fit_densely(o, cli, stream, wanted);
  else
    fit = fit_randomly(o, cli, stream, wanted);
  const GaussianStats& stats = fit.stats;
  save_stats(o.out, stats);

  nlohmann::ordered_json json = described(o, stats);
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

std::int64_t parse_components(const std::string& text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end && number > 0) return number;
  throw InvalidArgument("--components: expected a number from 1 or auto, got " + text);
}

CovarianceKind parse_covariance(const std::string& name, bool has_tail) {
  const auto kinds = {CovarianceKind::lowrank, CovarianceKind::full, CovarianceKind::diagonal};
  const auto found = std::ranges::find(kinds, name, [](CovarianceKind kind) { return to_string(kind); });
  if (found == kinds.end()) throw InvalidArgument("--covariance: expected one of lowrank, full, diag, got " + name);
  if (has_tail) return *found;
  if (*found != CovarianceKind::lowrank) throw InvalidArgument("--tail: zero is for --covariance lowrank, got " + name);
  return CovarianceKind::subspaces;
}

/// What the options and the data say, checked before anything is computed.
MixtureOptions mixture_options(const Options& o, const Cli& cli, const ImageStream& stream, std::int64_t wanted) {
  const bool is_auto = o.components == "auto";
  if (o.fit.cut.energy > 0) throw InvalidArgument("--energy: is for a single Gaussian; expected --rank for mixtures");
  if (o.method != "auto") throw InvalidArgument("--method: is for a single Gaussian; expected auto for mixtures, got " + o.method);
  if (is_auto && o.per_class) throw InvalidArgument("--components: expected a number where --per_class is given, got auto");
  if (is_auto && o.tail == "zero") throw InvalidArgument("--tail: expected mean for --components auto, which needs a density, got zero");
  if (o.per_class && stream.labels().empty()) throw DataError(o.data, "has no labels, which --per_class needs");
  MixtureOptions m = o.mixture;
  m.covariance = parse_covariance(o.covariance, o.tail == "mean");
  m.components = is_auto ? 1 : parse_components(o.components);
  m.rank = o.fit.cut.rank;
  m.seed = o.randomised.seed;
  m.tolerance = o.randomised.tolerance;
  m.limit = o.fit.limit;
  m.memory = o.bytes();
  if (m.components > wanted)
    throw InvalidArgument(fmt::format("--components: expected at most N = {} for {}, got {}", wanted, o.data, m.components));
  const auto progress = std::make_shared<std::pair<std::int64_t, std::optional<Progress>>>();
  m.on_progress = [progress, &cli, wanted](std::int64_t pass, std::int64_t done) {
    if (pass != progress->first) progress->second.emplace(cli, fmt::format("fitting, pass {}", progress->first = pass), wanted, "images");
    progress->second->update(done);
    stop_if_interrupted();
  };
  return m;
}

nlohmann::ordered_json fit_several_gaussians(Options& o, const Cli& cli, ImageStream& stream, std::int64_t wanted, double start) {
  MixtureOptions options = mixture_options(o, cli, stream, wanted);
  MixtureChoice choice;
  if (o.components == "auto")
    choice = choose_mixture(stream, options);
  else
    choice.fit = o.per_class ? fit_mixture_per_class(stream, options) : fit_mixture(stream, options);
  options.on_progress = {};  // ends the line of the last pass
  const MixtureFit& fit = choice.fit;
  const MixtureStats& stats = fit.stats;
  save_mixture(o.out, stats);

  nlohmann::ordered_json json = described(o, stats);
  json["components"] = stats.components();
  json["covariance"] = to_string(options.covariance);
  if (!stats.classes.empty()) json["classes"] = std::set(stats.classes.begin(), stats.classes.end()).size();
  json["log_likelihood"] = number_or_null(fit.log_likelihood);
  json["held_out_log_likelihood"] = number_or_null(fit.held_out_log_likelihood);
  json["bic"] = number_or_null(fit.bic);
  json["iterations"] = fit.iterations;
  json["passes"] = fit.passes;
  json["splits"] = fit.splits;
  for (const MixtureTrial& t : choice.trials)
    json["trials"].push_back(
        {{"components", t.components}, {"rank", t.rank}, {"held_out_log_likelihood", number_or_null(t.held_out_log_likelihood)}});
  json["seconds"] = now() - start;
  say(cli, fmt::format("{}: mixture of {} Gaussians of {} points in {} dimensions, rank {}, trace {:.4g}, {} iterations, {:.1f} s", o.out,
                       stats.components(), stats.count, stats.dim(), stats.rank(), stats.trace(), fit.iterations,
                       json["seconds"].get<double>()));
  if (!o.per_class && fit.iterations == options.max_iterations)
    say(cli, fmt::format("stopped at --max_iterations {} before the likelihood had settled", options.max_iterations));
  if (std::isfinite(fit.log_likelihood))
    say(cli, fmt::format("log-likelihood {:.3f} nats a point, BIC {:.5g}", fit.log_likelihood, fit.bic));
  if (std::isfinite(fit.held_out_log_likelihood))
    say(cli, fmt::format("of points held out {:.3f} nats a point", fit.held_out_log_likelihood));
  return json;
}

/// What a network has no use for is refused.
nlohmann::ordered_json fit_network_verb(const Options& o, const Cli& cli) {
  if (o.is_mixture() || o.fit.cut.energy > 0 || o.method != "auto" || o.memory > 0 || o.fit.limit > 0 || o.mixture.held_out > 0 ||
      o.randomised.tolerance != RandomisedOptions().tolerance || o.randomised.max_passes != RandomisedOptions().max_passes ||
      o.mixture.max_iterations != MixtureOptions().max_iterations)
    throw InvalidArgument(
        "--from_network: expected without --components, --per_class, --covariance, --held_out, --max_iterations, --energy, --method, "
        "--tolerance, --max_passes, --memory and --limit");
  if (o.out.empty() && (o.fit.cut.rank > 0 || o.tail != Options().tail))
    throw InvalidArgument("--rank, --tail: expected with --out, the Gaussian that they are of");
  return fit_from_network(
      o.network,
      {.data = o.data, .as = o.as, .out = o.out, .rank = o.fit.cut.rank, .mean_tail = o.tail == "mean", .seed = o.randomised.seed}, cli);
}

nlohmann::ordered_json fit_verb(Options& o, const Cli& cli) {
  if (o.tail != "mean" && o.tail != "zero") throw InvalidArgument("--tail: expected one of mean, zero, got " + o.tail);
  if (!o.network.network.empty()) return fit_network_verb(o, cli);
  if (o.data.empty()) throw InvalidArgument("data: expected images or points (DATA), or --from_network");
  if (o.out.empty()) throw InvalidArgument("--out: expected a statistics file to write");
  if (o.fit.cut.rank > 0 && o.fit.cut.energy > 0) throw InvalidArgument("--rank and --energy: expected one of them, got both");
  for (const auto& [name, value] : {std::pair("--energy", o.fit.cut.energy),
                                    {"--memory", o.memory},
                                    {"--tolerance", o.randomised.tolerance},
                                    {"--held_out", o.mixture.held_out}})
    if (!std::isfinite(value)) throw InvalidArgument(fmt::format("{}: expected a number, got one that is none", name));
  if (!o.is_mixture() && (o.mixture.held_out > 0 || o.mixture.max_iterations != MixtureOptions().max_iterations))
    throw InvalidArgument("--held_out, --max_iterations: expected with --components, --per_class or --covariance, as mixtures are fitted");
  require_folder_of(o.out);
  const double start = now();
  const auto stream = open_data(o.data, o.as);
  const std::int64_t dim = stream->shape().dim();
  if (o.fit.cut.rank > dim)
    throw InvalidArgument(fmt::format("--rank: expected at most D = {} for {}, got {}", dim, o.data, o.fit.cut.rank));
  const std::int64_t wanted = o.fit.limit > 0 ? std::min(o.fit.limit, stream->count()) : stream->count();
  return o.is_mixture() ? fit_several_gaussians(o, cli, *stream, wanted, start) : fit_one_gaussian(o, cli, *stream, wanted, start);
}

}  // namespace

void add_fit(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "fit",
                        "Fit a Gaussian, or a mixture of them, to a data set or to a network: means, eigenbases, eigenvalues, tails.",
                        [o](const Cli& c) { return fit_verb(*o, c); });
  verb->add_option("data", o->data, "images or points (DATA)");
  add_as_option(*verb, o->as);
  verb->add_option("--out", o->out, "statistics file to write (.safetensors)");
  add_from_network_options(*verb, o->network);
  verb->add_option("--rank", o->fit.cut.rank, "keep this many eigenvectors")->check(CLI::PositiveNumber);
  verb->add_option("--energy", o->fit.cut.energy, "keep the fewest eigenvectors with this share of the variance (dense fit only)")
      ->check(CLI::Range(1e-12, 1.0));
  verb->add_option("--tail", o->tail, "variance of the rest: mean (of the eigenvalues cut off) or zero")->capture_default_str();
  verb->add_option("--limit", o->fit.limit, "first images only")->check(CLI::PositiveNumber);
  verb->add_option("--method", o->method, "dense (all of the covariance), randomised (a low rank of it), or auto: dense where it fits")
      ->capture_default_str();
  verb->add_option("--memory", o->memory, "GB that the fit may take (default: half of what is free)")->check(CLI::PositiveNumber);
  verb->add_option("--tolerance", o->randomised.tolerance,
                   "randomised: largest residual of an eigenvector, relative to its eigenvalue; mixtures: stop where the log-likelihood "
                   "rose by less in a pass, nats a point")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb->add_option("--max_passes", o->randomised.max_passes, "randomised: passes over the data at most")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  verb->add_option("--seed", o->randomised.seed, "of the first subspace, or of a mixture's first centres")->capture_default_str();
  verb->add_option("--components", o->components, "Gaussians in the mixture, or auto: by the likelihood of points held out")
      ->capture_default_str();
  verb->add_flag("--per_class", o->per_class, "so many for each class of the data's labels");
  verb->add_option("--covariance", o->covariance, "of a mixture: lowrank (--rank directions, default 32, and a tail), full or diag")
      ->capture_default_str();
  verb->add_option("--held_out", o->mixture.held_out, "mixtures: share of the points to measure on instead of fitting them")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  verb->add_option("--max_iterations", o->mixture.max_iterations, "mixtures: passes of expectation maximisation at most")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
}

}  // namespace headstart::app
