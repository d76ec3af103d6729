// Samples of many settings in one process, each measured: one JSON object a line in, one a line out. The program behind
// scripts/solver_table.py, which asks and keeps the answers.
//
//   solver_trials NETWORK STATS FEATURES REFERENCE.npz
//   {"solver": "dpmpp_2m", "steps": 5, "sigma_min": 0.1, "rho": 7, "teleport": 10, "residual": null, "weight": "mode", "first_seed": 0,
//    "num": 1000, "resamples": 200}
//
// The answer has the question's keys and nfe, sigmas, frechet, low, high, rmse (against the converged end points of the same seeds; null
// for stochastic solvers), seconds, network_seconds.

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "headstart/core/blas.h"
#include "headstart/core/parallel.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/denoiser.h"
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
  Trials(const std::string& network, const std::string& stats, const std::string& features, const std::string& reference)
      : network_(load_network(network)),
        stats_(load_stats(stats)),
        features_(open_features(features, network_->info().shape)),
        reference_(read_reference(reference).moments) {}

  json answer(const json& question) {
    json answer = question;
    const auto first = question.value("first_seed", std::int64_t{0}), num = question.at("num").get<std::int64_t>();
    const auto name = question.at("solver").get<std::string>();
    double seconds = 0, network_seconds = 0;
    std::int64_t nfe = 0;
    std::vector<Tensor> ends;
    for (std::int64_t begin = 0; begin < num; begin += kBatch) {
      std::vector<std::int64_t> seeds(static_cast<std::size_t>(std::min(kBatch, num - begin)));
      std::iota(seeds.begin(), seeds.end(), first + begin);
      const Timed timed(*network_);
      const Counted counted(timed);
      const double start = now();
      ends.push_back(sample(question, name, counted, seeds, answer));
      seconds += now() - start;
      network_seconds += timed.seconds();
      nfe = counted.nfe();
    }
    const Tensor end = torch::cat(ends);
    answer["nfe"] = nfe;
    answer["seconds"] = seconds;
    answer["network_seconds"] = network_seconds;
    answer["rmse"] = nullptr;
    if (!is_stochastic(name)) answer["rmse"] = (end - converged(first, num)).square().mean().sqrt().item<double>();
    const Tensor features = features_of(end);
    const double distance = frechet_distance(feature_moments(features), reference_).value;
    answer["frechet"] = distance;
    if (const auto resamples = question.value("resamples", std::int64_t{0}); resamples > 0) {
      const Interval interval = interval_about(distance, frechet_resamples(features, reference_, {.resamples = resamples}));
      answer["low"] = interval.low;
      answer["high"] = interval.high;
    }
    return answer;
  }

 private:
  Tensor sample(const json& q, const std::string& name, const Denoiser& denoiser, const std::vector<std::int64_t>& seeds, json& answer) {
    KarrasOptions grid{.steps = q.at("steps").get<std::int64_t>(), .sigma_min = q.value("sigma_min", 0.002), .rho = q.value("rho", 7.0)};
    SeededNoise noise(seeds, network_->info().shape);
    Tensor x = grid.sigma_max * noise.next();
    if (q.contains("teleport") && q["teleport"].is_number()) {
      const double skip = q["teleport"].get<double>();
      x = teleport(stats_, x, grid.sigma_max, skip);
      grid.sigma_max = skip;
    }
    Solver solver = find_solver(name);
    if (q.contains("residual") && q["residual"].is_number()) {
      const auto weight = q.value("weight", "mode") == "scalar" ? ResidualWeight::scalar : ResidualWeight::mode;
      solver = residual_solver(name, std::make_shared<GaussianPart>(stats_), {.sigma_c = q["residual"].get<double>(), .weight = weight});
    }
    const auto sigmas = karras_sigmas(grid);
    answer["sigmas"] = sigmas;
    return solver(denoiser, x, sigmas,
                  {.noise = [&] { return noise.next(); },
                   .order = q.value("order", std::int64_t{0}),
                   .lower_order_final = q.value("lower_order_final", false)});
  }

  /// Where the seeds' own paths end: 64 steps of Heun, 127 evaluations, a seed once.
  Tensor converged(std::int64_t first, std::int64_t num) {
    std::vector<std::int64_t> missing;
    for (std::int64_t seed = first; seed < first + num; ++seed)
      if (!ends_.contains(seed)) missing.push_back(seed);
    for (std::size_t begin = 0; begin < missing.size(); begin += kBatch) {
      const std::vector<std::int64_t> seeds(missing.begin() + static_cast<std::ptrdiff_t>(begin),
                                            missing.begin() + static_cast<std::ptrdiff_t>(std::min(missing.size(), begin + kBatch)));
      json ignored;
      const Tensor end = sample({{"steps", 60}}, "unipc_bh2", *network_, seeds, ignored);
      for (std::size_t i = 0; i < seeds.size(); ++i) ends_[seeds[i]] = end[static_cast<std::int64_t>(i)].clone();
    }
    std::vector<Tensor> rows;
    for (std::int64_t seed = first; seed < first + num; ++seed) rows.push_back(ends_.at(seed));
    return torch::stack(rows);
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
  std::map<std::int64_t, Tensor> ends_;
};

}  // namespace
}  // namespace headstart

int main(int argc, char** argv) {
  headstart::use_fitting_blas_kernels(argv);
  if (argc != 5) {
    std::cerr << "usage: solver_trials NETWORK STATS FEATURES REFERENCE.npz\n";
    return 2;
  }
  headstart::set_threads(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  try {
    headstart::Trials trials(argv[1], argv[2], argv[3], argv[4]);
    for (std::string line; std::getline(std::cin, line);) std::cout << trials.answer(nlohmann::json::parse(line)).dump() << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "solver_trials: " << error.what() << '\n';
    return 1;
  }
}
