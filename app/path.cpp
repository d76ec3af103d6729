#include "path.h"

#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <map>
#include <optional>

#include "headstart/core/tensor_file.h"
#include "headstart/data/safetensors.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"

namespace headstart::app {

using torch::Tensor;

Path record_path(const Model& model, SamplingOptions options, const SamplingPlan& plan, const std::vector<std::int64_t>& seeds) {
  struct Seen {
    Tensor state, denoised;
  };
  std::map<double, Seen, std::greater<>> seen;
  options.batch = static_cast<std::int64_t>(seeds.size());
  options.on_evaluation = [&](const Tensor& x, const Tensor& sigma, const Tensor& denoised) {
    seen[sigma[0].item<double>()] = {x.to(torch::kCPU, torch::kFloat32), denoised.to(torch::kCPU, torch::kFloat32)};
  };
  draw_samples(model, options, plan, seeds, [&](const auto&, const Tensor& samples, std::int64_t) {
    const Tensor finished = samples.to(torch::kCPU, torch::kFloat32);
    if (plan.sigmas.back() == 0) seen[0] = {finished, finished};
  });
  Path path{.seeds = seeds, .sigmas = {}, .states = {}, .denoised = {}, .shape = model.shape, .range = {model.range_low, model.range_high}};
  std::vector<Tensor> states, denoised;
  for (const auto& [sigma, at] : seen) {
    path.sigmas.push_back(sigma);
    states.push_back(at.state);
    denoised.push_back(at.denoised);
  }
  path.states = torch::stack(states, 1);
  path.denoised = torch::stack(denoised, 1);
  return path;
}

void save_path(const std::string& file, const Path& path) {
  write_tensors(file,
                {{"seeds", torch::tensor(path.seeds)},
                 {"sigmas", torch::tensor(path.sigmas, torch::kFloat64)},
                 {"states", path.states},
                 {"denoised", path.denoised}},
                {{"format", "headstart-path"},
                 {"version", "1"},
                 {"shape", to_string(path.shape)},
                 {"range", fmt::format("{},{}", path.range.low, path.range.high)}});
}

Path load_path(const std::string& name) {
  const SafetensorsFile file(name);
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != "headstart-path")
    throw DataError(name, "expected a recorded path (metadata format=headstart-path)");
  Path path{.seeds = {},
            .sigmas = {},
            .states = to_tensor(file.get("states")),
            .denoised = to_tensor(file.get("denoised")),
            .shape = {},
            .range = {}};
  const Tensor seeds = to_tensor(file.get("seeds")).to(torch::kInt64).flatten();
  const Tensor sigmas = to_tensor(file.get("sigmas")).to(torch::kFloat64).flatten();
  path.seeds.assign(seeds.data_ptr<std::int64_t>(), seeds.data_ptr<std::int64_t>() + seeds.numel());
  path.sigmas.assign(sigmas.data_ptr<double>(), sigmas.data_ptr<double>() + sigmas.numel());
  try {
    path.shape = parse_image_shape(file.metadata("shape"));
  } catch (const InvalidArgument& e) {
    throw DataError(name, std::string("expected metadata shape as C,H,W: ") + e.what());
  }
  if (std::sscanf(file.metadata("range").c_str(), "%lf,%lf", &path.range.low, &path.range.high) != 2 || path.range.low >= path.range.high)
    throw DataError(name, "expected metadata range as low,high with low < high");
  const std::vector<std::int64_t> expected{seeds.numel(), sigmas.numel(), path.shape.dim()};
  for (const Tensor& values : {path.states, path.denoised})
    if (values.sizes().vec() != expected || values.scalar_type() != torch::kFloat32 || values.numel() == 0 ||
        !values.isfinite().all().item<bool>())
      throw DataError(
          name, fmt::format("expected finite float32 states and denoised of shape [{}, {}, {}]", expected[0], expected[1], expected[2]));
  if ((sigmas.diff() >= 0).any().item<bool>() || !(path.sigmas.back() >= 0) || !(path.sigmas.front() > 0))
    throw DataError(name, "expected sigmas strictly descending from above 0");
  return path;
}

std::vector<SamplingPath> drawn_paths(const Path& path, const GaussianStats* stats) {
  std::vector<SamplingPath> paths;
  if (!is_picture(path.shape)) return paths;
  for (const auto seed : path.seeds) paths.push_back({.seed = seed, .steps = std::vector<PathStep>(path.sigmas.size())});
  const auto fill = [&](PngFile PathStep::*where, std::size_t level, const std::vector<PngFile>& pictures) {
    for (std::size_t k = 0; k < paths.size(); ++k) paths[k].steps[level].*where = pictures[k];
  };
  std::optional<GaussianDenoiser> gaussian;
  if (stats != nullptr) gaussian.emplace(*stats);
  const Tensor start = path.states.select(1, 0).to(torch::kFloat64);
  for (std::size_t i = 0; i < path.sigmas.size(); ++i) {
    const double sigma = path.sigmas[i];
    for (auto& p : paths) p.steps[i].sigma = sigma;
    const auto level = static_cast<std::int64_t>(i);
    const Tensor denoised = path.denoised.select(1, level).to(torch::kFloat64);
    fill(&PathStep::denoised, i, draw(denoised, path.shape, path.range));
    fill(&PathStep::state, i, draw_noisy(path.states.select(1, level), sigma, path.shape, path.range));
    if (!gaussian) continue;
    const Tensor state = gaussian_flow(*stats, start, {.from = path.sigmas.front(), .to = sigma});
    const Tensor closed = sigma > 0 ? gaussian->denoise(state, sigma) : state;
    fill(&PathStep::closed_denoised, i, draw(closed, path.shape, path.range));
    fill(&PathStep::closed_state, i, draw_noisy(state, sigma, path.shape, path.range));
    const Tensor rmse = (denoised - closed).square().mean(1).sqrt() * (2 / (path.range.high - path.range.low));
    for (std::size_t k = 0; k < paths.size(); ++k) paths[k].steps[i].rmse = rmse[static_cast<std::int64_t>(k)].item<double>();
  }
  return paths;
}

}  // namespace headstart::app
