#include "comparison.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "data_tensors.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/metrics/explained_variance.h"
#include "headstart/solve/noise.h"

namespace headstart::app {

using nlohmann::ordered_json;
using torch::Tensor;

namespace {

void put(ordered_json& row, const std::string& name, const ExplainedShare& share) {
  row[name] = share.mean;
  row[name + "_std"] = share.std;
  row[name + "_low"] = share.interval.low;
  row[name + "_high"] = share.interval.high;
}

double mean_square(const Tensor& difference) { return difference.square().sum(1).mean().item<double>(); }

/// One line of the table: how much of the network's answer this closed form explains, and how well both denoise.
ordered_json row_of(const NamedDenoiser& model, const Tensor& clean, const Tensor& x, const Tensor& net, const Tensor& closed) {
  const ExplainedVariance explained = explained_variance(x, net, closed);
  ordered_json row;
  row["name"] = model.name;
  put(row, "St_EV", explained.score);
  put(row, "St_EV_rev", explained.score_rev);
  put(row, "Dt_EV", explained.denoised);
  put(row, "Dt_EV_rev", explained.denoised_rev);
  row["St_residual"] = 1 - explained.score.mean;
  row["Dt_residual"] = 1 - explained.denoised.mean;
  row["error"] = mean_square(closed - clean);
  row["network_error"] = mean_square(net - clean);
  return row;
}

}  // namespace

Tensor draw_images(ImageStream& stream, std::int64_t count, std::int64_t seed) {
  const std::int64_t total = stream.count(), dim = stream.shape().dim();
  const Tensor order = torch::randperm(total, at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed)), torch::kInt64);
  const Tensor wanted = std::get<0>(order.narrow(0, 0, std::min(count, total)).sort());
  const auto* index = wanted.data_ptr<std::int64_t>();
  Tensor drawn = torch::empty({wanted.numel(), dim}, torch::kFloat64);
  std::vector<float> batch(static_cast<std::size_t>(512 * dim));
  std::int64_t first = 0, found = 0;
  for (std::int64_t got = 0; found < wanted.numel() && (got = stream.read(batch)) > 0; first += got) {
    const Tensor rows = torch::from_blob(batch.data(), {got, dim}, torch::kFloat32);
    for (; found < wanted.numel() && index[found] < first + got; ++found) drawn[found].copy_(rows[index[found] - first]);
  }
  return drawn.narrow(0, 0, found);
}

std::vector<NamedDenoiser> simpler_gaussians(const GaussianStats& stats, const std::string& name, bool isotropic,
                                             const std::vector<std::int64_t>& ranks) {
  std::vector<NamedDenoiser> models;
  if (isotropic) {
    models.push_back({"mean", std::make_shared<IsotropicDenoiser>(stats.mean, 0)});
    models.push_back({"isotropic", std::make_shared<IsotropicDenoiser>(stats.mean, stats.trace() / static_cast<double>(stats.dim()))});
  }
  for (const auto rank : ranks)
    models.push_back({fmt::format("{} rank {}", name, rank), std::make_shared<GaussianDenoiser>(cut_to_rank(stats, rank))});
  return models;
}

ordered_json comparison_rows(const Comparison& c) {
  ordered_json rows = ordered_json::array();
  for (const auto& points : c.points) {
    std::vector<std::int64_t> seeds(static_cast<std::size_t>(points.clean.size(0)));
    std::iota(seeds.begin(), seeds.end(), c.seed);
    const Tensor noise = noise_of(seeds, c.shape);
    for (const double sigma : c.sigmas) {
      const Tensor x = points.clean + sigma * noise;
      std::vector<Tensor> closed;
      for (const auto& model : c.models) closed.push_back(model.denoiser->denoise(x, sigma));
      for (const auto& network : c.networks) {
        const Tensor net = network.denoiser->denoise(x, sigma);
        for (std::size_t m = 0; m < c.models.size(); ++m) {
          ordered_json row{{"sigma", sigma}};
          row.update(row_of(c.models[m], points.clean, x, net, closed[m]));
          row["points"] = points.name;
          row["samples"] = points.clean.size(0);
          row["network"] = network.name;
          row["images"] = network.images;
          if (c.basis.defined()) row["modes"] = to_vector(explained_by_mode(c.basis, x, net, closed[m]));
          rows.push_back(std::move(row));
        }
      }
      if (c.tick) c.tick();
    }
  }
  return rows;
}

}  // namespace headstart::app
