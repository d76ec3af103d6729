#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "cli.h"
#include "data_tensors.h"
#include "denoisers.h"
#include "headstart/data/atomic_file.h"
#include "headstart/error.h"
#include "headstart/metrics/ood.h"
#include "ranges.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;
using torch::Tensor;

struct Options {
  std::string data, against, reference, as, stats, network, out;
  std::vector<double> sigmas{0.2, 0.5, 1, 2, 5};
  double sigma = 0.1;
  std::int64_t limit = 2000;
};

/// All scores of one set of images: one column a score.
struct Scores {
  std::vector<std::string> names;
  std::vector<Tensor> columns;
};

/// In the model's range. Floats are taken as they are: what is unlike the training data may lie outside it.
Tensor first_images(const std::string& data, const Options& o, const Model& model) {
  const auto stream = open_data(data, o.as);
  if (stream->shape() != model.shape)
    throw InvalidArgument(fmt::format("{}: expected images of shape {} as in {}, got {}", data, to_string(model.shape), model.path,
                                      to_string(stream->shape())));
  const Tensor images = read_images(*stream, o.limit).flatten(1).to(torch::kFloat64);
  return stream->is_uint8() ? as_data_of(model, data, *stream, images) : images;
}

Tensor norms_of(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const std::function<void()>& tick) {
  std::vector<Tensor> columns;
  for (const double sigma : sigmas) {
    columns.push_back(score_norms(denoiser, x, {sigma}));
    tick();
  }
  return torch::cat(columns, 1);
}

ordered_json score_ood_verb(const Options& o, const Cli& cli) {
  require_levels("--sigmas", o.sigmas);
  if (!(o.sigma > 0)) throw InvalidArgument(fmt::format("--sigma: expected a number > 0, got {}", o.sigma));
  if (!o.out.empty()) require_folder_of(o.out);
  const double start = now();
  const GaussianStats found = load_stats(o.stats);
  const Model model = o.network.empty() ? open_stats_model(o.stats) : open_network_model(o.network, {.device = cli.device});
  const GaussianStats stats = fitted_to(model, o.stats, found);
  std::vector<std::pair<std::string, Tensor>> sets{{"data", first_images(o.data, o, model)}};
  if (!o.against.empty()) sets.emplace_back("against", first_images(o.against, o, model));
  const Tensor reference = o.reference.empty() ? Tensor() : first_images(o.reference, o, model);

  Progress progress(cli, "scoring", static_cast<std::int64_t>(o.sigmas.size() * (sets.size() + (reference.defined() ? 1 : 0))), "levels");
  std::int64_t done = 0;
  const auto tick = [&] {
    progress.update(++done);
    stop_if_interrupted();
  };
  const Tensor known = reference.defined() ? norms_of(*model.denoiser, reference, o.sigmas, tick) : Tensor();
  std::vector<Scores> scored;
  for (const auto& [name, x] : sets) {
    Scores scores{{"mahalanobis"}, {mahalanobis(stats, x, o.sigma)}};
    const Tensor norms = norms_of(*model.denoiser, x, o.sigmas, tick);
    for (std::size_t i = 0; i < o.sigmas.size(); ++i) {
      scores.names.push_back(fmt::format("score_norm_{}", o.sigmas[i]));
      scores.columns.push_back(norms.select(1, static_cast<std::int64_t>(i)));
    }
    if (known.defined()) {
      scores.names.emplace_back("norms_to_reference");
      scores.columns.push_back(distance_to_inliers(known, norms));
    }
    scored.push_back(std::move(scores));
  }

  ordered_json json;
  json["data"] = o.data;
  json["count"] = sets[0].second.size(0);
  json["model"] = model.path;
  json["range"] = {model.range_low, model.range_high};
  json["sigma"] = o.sigma;
  json["sigmas"] = o.sigmas;
  for (std::size_t i = 0; i < scored[0].names.size(); ++i) json["mean"][scored[0].names[i]] = scored[0].columns[i].mean().item<double>();
  if (scored.size() > 1) {
    json["against"] = o.against;
    json["against_count"] = sets[1].second.size(0);
    for (std::size_t i = 0; i < scored[0].names.size(); ++i) {
      json["auroc"][scored[0].names[i]] = auroc(scored[0].columns[i], scored[1].columns[i]);
      say(cli, fmt::format("{}: AUROC {:.4f}", scored[0].names[i], json["auroc"][scored[0].names[i]].get<double>()));
    }
  }
  json["seconds"] = now() - start;
  if (!o.out.empty()) {
    std::string csv = fmt::format("set,index,{}\n", fmt::join(scored[0].names, ","));
    for (std::size_t s = 0; s < scored.size(); ++s)
      for (std::int64_t n = 0; n < sets[s].second.size(0); ++n) {
        csv += fmt::format("{},{}", sets[s].first, n);
        for (const auto& values : scored[s].columns) csv += fmt::format(",{:.9g}", values[n].item<double>());
        csv += '\n';
      }
    write_file_atomically(o.out, csv);
    json["out"] = o.out;
  }
  if (scored.size() == 1)
    say(cli, fmt::format("{}: {} images, mean squared Mahalanobis distance {:.4g} (D = {})", o.data, sets[0].second.size(0),
                         json["mean"]["mahalanobis"].get<double>(), stats.dim()));
  return json;
}

}  // namespace

void add_score_ood(CLI::App& app, Cli& cli) {
  auto o = std::make_shared<Options>();
  auto* verb =
      add_verb(app, cli, "score-ood", "How unlike the training data images are: Mahalanobis distance and score norms at several levels.",
               [o](const Cli& c) { return score_ood_verb(*o, c); });
  verb->add_option("--data", o->data, "images to score; with --against, those taken as inliers (DATA)")->required();
  verb->add_option("--against", o->against, "images taken as outliers, for the AUROC of each score (DATA)");
  verb->add_option("--reference", o->reference, "known inliers, for one score from all norms together (DATA)");
  add_as_option(*verb, o->as);
  verb->add_option("--stats", o->stats, "a fitted Gaussian")->required();
  verb->add_option("--network", o->network, "a trained network, whose score norms are taken instead of the Gaussian's");
  verb->add_option("--sigmas", o->sigmas, "levels of the score norms")->delimiter(',')->capture_default_str();
  verb->add_option("--sigma", o->sigma, "level of the Mahalanobis distance")->capture_default_str();
  verb->add_option("--limit", o->limit, "first images of each set")->check(CLI::PositiveNumber)->capture_default_str();
  verb->add_option("--out", o->out, "CSV of every image's scores");
}

}  // namespace headstart::app
