// Samples of many settings in one process, each measured: one JSON object a line in, one a line out. The program behind
// scripts/solver_table.py, which asks and keeps the answers.
//
//   solver_trials PRECISION NETWORK STATS FEATURES REFERENCE.npz HELD_OUT_DATA CONVERGED.safetensors [V3_FOLDER]
//   {"solver": "dpmpp_2m", "steps": 5, "sigma_min": 0.1, "rho": 7, "teleport": 10, "residual": "auto", "weight": "mode", "first_seed": 0,
//    "num": 1000, "resamples": 200}
//
// More keys: order, lower_order_final, tolerance, corrector, pseudo_order, and grid, the levels themselves.
// "teleport" (respaced) and "residual" are a level, null or "auto": chosen on 64 seeds of their own as `sample --teleport auto` does.
// The answer has the question's keys and nfe, sigmas, frechet, low, high, resampled (distances, paired between answers of the same num),
// rmse (against the converged end points of the same seeds; null for stochastic solvers), seconds, network_seconds; sigma_skip and sigma_c
// where they were chosen, with all trials.

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "headstart/calibrate/head_start.h"
#include "headstart/calibrate/v3_statistics.h"
#include "headstart/core/blas.h"
#include "headstart/core/parallel.h"
#include "headstart/core/tensor_file.h"
#include "headstart/data/image_stream.h"
#include "headstart/data/safetensors.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/denoiser.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/flow/teleport.h"
#include "headstart/metrics/features.h"
#include "headstart/metrics/frechet.h"
#include "headstart/metrics/reference.h"
#include "headstart/nets/network.h"
#include "headstart/solve/noise.h"
#include "headstart/solve/residual.h"
#include "headstart/solve/sigmas.h"
#include "headstart/solve/solver.h"

namespace headstart {
namespace {

using nlohmann::json;
using torch::Tensor;

constexpr std::int64_t kBatch = 256;
const json kConverged = {{"steps", kReferenceSteps}};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Any denoiser, and the time spent in it.
class Timed : public Denoiser {
 public:
  explicit Timed(const Denoiser& inner) : inner_(inner) {}
  std::int64_t dim() const override { return inner_.dim(); }
  double seconds() const { return seconds_; }

 private:
  Tensor evaluate(const Tensor& x, const Tensor& sigma) const override {
    const double start = now();
    Tensor denoised = inner_.denoise(x, sigma.flatten());
    seconds_ += now() - start;
    return denoised;
  }
  const Denoiser& inner_;
  mutable double seconds_ = 0;
};

class Trials {
 public:
  explicit Trials(char** paths, const char* v3)
      : network_(load_network(paths[1], {.compute_type = parse_precision(paths[0])})),
        stats_(load_stats(paths[2])),
        features_(open_features(paths[3], network_->info().shape)),
        reference_(read_reference(paths[4]).moments),
        held_out_(paths[5]),
        ends_path_(paths[6]) {
    if (std::filesystem::exists(ends_path_)) {
      const SafetensorsFile file(ends_path_);
      for (const auto& name : file.names()) ends_[name] = to_tensor(file.get(name));
    }
    if (v3 != nullptr) v3_ = std::make_shared<V3Statistics>(load_v3(v3, network_->info().shape));
  }

  json answer(const json& question) {
    json answer = question;
    const auto first = question.value("first_seed", std::int64_t{0}), num = question.at("num").get<std::int64_t>();
    const auto name = question.at("solver").get<std::string>();
    const HeadStart start = head_start(question, name, answer);
    double seconds = 0, network_seconds = 0;
    std::int64_t nfe = 0;
    std::vector<Tensor> ends;
    const bool is_converged = name == "unipc_bh2" && question.at("steps") == kConverged.at("steps") && !question.contains("sigma_min");
    if (is_converged) ends.push_back(converged(first, num));
    for (std::int64_t begin = 0; begin < num && !is_converged; begin += kBatch) {
      std::vector<std::int64_t> seeds(static_cast<std::size_t>(std::min(kBatch, num - begin)));
      std::iota(seeds.begin(), seeds.end(), first + begin);
      const Timed timed(*network_);
      const Counted counted(timed);
      const double begun = now();
      ends.push_back(sample(question, name, counted, seeds, start, answer));
      seconds += now() - begun;
      network_seconds += timed.seconds();
      nfe = std::max(nfe, counted.nfe());
    }
    const Tensor end = torch::cat(ends);
    answer["nfe"] = nfe;
    answer["seconds"] = seconds;
    answer["network_seconds"] = network_seconds;
    answer["rmse"] = answer["frechet"] = nullptr;
    if (!end.isfinite().all().item<bool>()) return answer;
    if (!is_stochastic(name)) answer["rmse"] = (end - converged(first, num)).square().mean().sqrt().item<double>();
    const Tensor features = features_of(end);
    const double distance = frechet_distance(feature_moments(features), reference_).value;
    answer["frechet"] = distance;
    if (const auto resamples = question.value("resamples", std::int64_t{0}); resamples > 0) {
      const Tensor resampled = frechet_resamples(features, reference_, {.resamples = resamples});
      const Interval interval = interval_about(distance, resampled);
      answer["resampled"] = std::vector<double>(resampled.data_ptr<double>(), resampled.data_ptr<double>() + resamples);
      answer["low"] = interval.low;
      answer["high"] = interval.high;
    }
    return answer;
  }

 private:
  Tensor sample(const json& q, const std::string& name, const Denoiser& denoiser, const std::vector<std::int64_t>& seeds,
                const HeadStart& start, json& answer) {
    KarrasOptions grid{.steps = q.at("steps").get<std::int64_t>(), .sigma_min = q.value("sigma_min", 0.002), .rho = q.value("rho", 7.0)};
    SeededNoise noise(seeds, network_->info().shape);
    Tensor x = grid.sigma_max * noise.next();
    if (start.sigma_skip) {
      const SigmaStep jump{.from = grid.sigma_max, .to = *start.sigma_skip};
      x = is_stochastic(name) ? stochastic_jump(stats_, x, jump, noise.next()) : teleport(stats_, x, jump.from, jump.to);
      grid.sigma_max = jump.to;
    }
    Solver solver = find_solver(name);
    if (start.sigma_c) {
      std::optional<ResidualWeight> weight;
      if (q.contains("weight")) weight = q["weight"] == "scalar" ? ResidualWeight::scalar : ResidualWeight::mode;
      solver = residual_solver(name, std::make_shared<GaussianPart>(stats_), {.sigma_c = *start.sigma_c, .weight = weight});
    }
    const auto sigmas = q.contains("grid") ? q["grid"].get<std::vector<double>>() : karras_sigmas(grid);
    answer["sigmas"] = sigmas;
    return solver(denoiser, x, sigmas,
                  {.noise = [&] { return noise.next(); },
                   .order = q.value("order", std::int64_t{0}),
                   .lower_order_final = q.value("lower_order_final", false),
                   .tolerance = q.value("tolerance", SolveOptions().tolerance),
                   .v3 = v3_,
                   .corrector = q.value("corrector", false),
                   .pseudo_order = q.value("pseudo_order", false)});
  }

  HeadStart head_start(const json& q, const std::string& name, json& answer) {
    const auto level = [&](const char* key) {
      return q.contains(key) && q[key].is_number() ? std::optional(q[key].get<double>()) : std::nullopt;
    };
    const auto is_auto = [&](const char* key) { return q.value(key, json()) == "auto"; };
    const HeadStart given{.sigma_skip = level("teleport"), .sigma_c = level("residual")};
    if (!is_auto("teleport") && !is_auto("residual")) return given;
    std::vector<std::int64_t> seeds(kCalibrationSeeds);
    std::iota(seeds.begin(), seeds.end(), kFirstCalibrationSeed);
    const Choice choice = choose_head_start(reference(seeds),
                                            {.skips = is_auto("teleport") ? jumps_to_try() : std::vector<double>{},
                                             .switches = is_auto("residual") ? switches_to_try() : std::vector<double>{},
                                             .given = given},
                                            [&](const HeadStart& start) {
                                              json ignored;
                                              return sample(q, name, *network_, seeds, start, ignored);
                                            });
    const auto to_json = [](const std::optional<double>& value) { return value ? json(*value) : json(); };
    for (const Trial& trial : choice.trials)
      answer["trials"].push_back({to_json(trial.start.sigma_skip), to_json(trial.start.sigma_c), trial.error});
    answer["sigma_skip"] = to_json(choice.best.sigma_skip);
    answer["sigma_c"] = to_json(choice.best.sigma_c);
    return choice.best;
  }

  /// The reference ends of the calibration, once for all.
  const Tensor& reference(const std::vector<std::int64_t>& seeds) {
    if (reference_ends_.defined()) return reference_ends_;
    const Tensor points = held_out_points(kHeldOutPoints);
    std::vector<std::int64_t> others(static_cast<std::size_t>(points.size(0)));
    std::iota(others.begin(), others.end(), kFirstCalibrationSeed + kCalibrationSeeds);
    const Crossing crossing = find_crossing(*network_, GaussianDenoiser(stats_), points, noise_of(others, network_->info().shape),
                                            crossing_levels(network_->info().sigma_min, network_->info().sigma_max));
    for (const auto& e : crossing.errors)
      std::cerr << fmt::format("sigma {:.3g}: denoising error of the network {:.5g}, of the Gaussian {:.5g}\n", e.sigma, e.network,
                               e.closed_form);
    json ignored;
    return reference_ends_ = sample(kConverged, "unipc_bh2", *network_, seeds, {.sigma_skip = crossing.sigma}, ignored);
  }

  Tensor held_out_points(std::int64_t count) const {
    const auto stream = open_images(held_out_);
    std::vector<float> values(static_cast<std::size_t>(count * stream->shape().dim()));
    if (stream->read(values) != count) throw std::runtime_error(held_out_ + ": expected at least " + std::to_string(count) + " images");
    return torch::from_blob(values.data(), {count, stream->shape().dim()}, torch::kFloat32).to(torch::kFloat64);
  }

  /// Where the seeds' own paths end: 60 steps of UniPC, a seed once; kept in a file.
  Tensor converged(std::int64_t first, std::int64_t num) {
    const std::string name = fmt::format("{}.{}", first, num);
    if (!ends_.contains(name)) {
      std::vector<Tensor> ends;
      for (std::int64_t begin = 0; begin < num; begin += kBatch) {
        std::vector<std::int64_t> seeds(static_cast<std::size_t>(std::min(kBatch, num - begin)));
        std::iota(seeds.begin(), seeds.end(), first + begin);
        json ignored;
        ends.push_back(sample(kConverged, "unipc_bh2", *network_, seeds, {}, ignored));
      }
      ends_[name] = torch::cat(ends);
      write_tensors(ends_path_, {ends_.begin(), ends_.end()}, {});
    }
    return ends_.at(name);
  }

  /// Of the pictures as bytes, as samples in files are.
  Tensor features_of(const Tensor& samples) const {
    const Tensor bytes = ((samples.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1;
    const ImageShape& shape = network_->info().shape;
    std::vector<Tensor> features;
    for (const Tensor& some : bytes.to(torch::kFloat32).view({-1, shape.channels, shape.height, shape.width}).split(kBatch))
      features.push_back(features_->extract(some));
    return torch::cat(features);
  }

  std::shared_ptr<Network> network_;
  GaussianStats stats_;
  std::unique_ptr<FeatureSpace> features_;
  FeatureMoments reference_;
  std::string held_out_;
  std::shared_ptr<const V3Statistics> v3_;
  std::string ends_path_;
  std::map<std::string, Tensor> ends_;  // "FIRST.NUM"
  Tensor reference_ends_;
};

}  // namespace
}  // namespace headstart

int main(int argc, char** argv) {
  headstart::use_fitting_blas_kernels(argv);
  if (argc != 8 && argc != 9) {
    std::cerr << "usage: solver_trials PRECISION NETWORK STATS FEATURES REFERENCE.npz HELD_OUT_DATA CONVERGED.safetensors [V3_FOLDER]\n";
    return 2;
  }
  headstart::set_threads(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  try {
    headstart::Trials trials(argv + 1, argc == 9 ? argv[8] : nullptr);
    for (std::string line; std::getline(std::cin, line);) std::cout << trials.answer(nlohmann::json::parse(line)).dump() << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "solver_trials: " << error.what() << '\n';
    return 1;
  }
}
