#pragma once
// Grids and models on which solvers are measured.

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "headstart/moments/mixture_stats.h"

namespace headstart {

/// Equal steps h in ln sigma from 10 to 10 / ratio. A multistep method starts with low orders: its first steps are h^3 and h^2, so that
/// what they are wrong by is below the error of the method itself.
inline std::vector<double> grid_for_orders(double ratio, std::int64_t steps) {
  const double h = std::log(ratio) / static_cast<double>(steps);
  std::vector<double> sigmas{10, 10 * std::exp(-h * h * h), 10 * std::exp(-h * h)};
  for (std::int64_t i = 1; i <= steps; ++i) sigmas.push_back(10 * std::exp(-h * static_cast<double>(i)));
  return sigmas;
}

/// A list of a golden file, three rows.
inline torch::Tensor golden_rows(const nlohmann::json& list) {
  return torch::tensor(list.get<std::vector<double>>(), torch::kFloat64).reshape({3, -1});
}

/// The mixture of three isotropic Gaussians of tests/golden/solvers.py.
inline MixtureStats golden_mixture(const nlohmann::json& golden) {
  MixtureStats s;
  s.weights = golden_rows(golden.at("weights")).flatten();
  s.mean = golden_rows(golden.at("points"));
  s.basis = torch::eye(3, torch::kFloat64).repeat({3, 1, 1});
  s.eigenvalues = torch::full({3, 3}, golden.at("variance").get<double>(), torch::kFloat64);
  s.tail = torch::zeros({3}, torch::kFloat64);
  return s;
}

}  // namespace headstart
