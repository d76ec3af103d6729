#include "headstart/solve/residual.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "split.h"

namespace headstart {
namespace {

using torch::Tensor;

using SplitSolver = std::function<Tensor(const Split&, const Denoiser&, const Tensor&, const std::vector<double>&, const SolveOptions&)>;

const std::vector<std::pair<std::string, SplitSolver>>& split_solvers() {
  static const std::vector<std::pair<std::string, SplitSolver>> all{
      {"dpmpp_2m", [](const auto&... rest) { return dpmpp_multistep("residual dpmpp_2m", 2, rest...); }},
      {"dpmpp_3m", [](const auto&... rest) { return dpmpp_multistep("residual dpmpp_3m", 3, rest...); }},
      {"unipc_bh1", [](const auto&... rest) { return unipc("residual unipc_bh1", Growth::linear, rest...); }},
      {"unipc_bh2", [](const auto&... rest) { return unipc("residual unipc_bh2", Growth::exponential, rest...); }},
      {"ipndm", [](const auto&... rest) { return ipndm("residual ipndm", rest...); }}};
  return all;
}

}  // namespace

Solver residual_solver(const std::string& name, std::shared_ptr<const LinearPart> part, const ResidualOptions& o) {
  const auto found = std::ranges::find(split_solvers(), name, [](const auto& entry) { return entry.first; });
  if (found == split_solvers().end())
    throw InvalidArgument(
        fmt::format("--residual: expected --solver to be one of {}, got {}", fmt::join(residual_solver_names(), ", "), name));
  if (!(o.sigma_c >= 0)) throw InvalidArgument(fmt::format("[residual_solver] expected sigma_c >= 0, got {}", o.sigma_c));
  return [solver = found->second, part = std::move(part), o](const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas,
                                                             const SolveOptions& options) {
    return solver({.part = part.get(), .sigma_c = o.sigma_c, .weight = o.weight}, denoiser, x, sigmas, options);
  };
}

std::vector<std::string> residual_solver_names() {
  std::vector<std::string> names;
  for (const auto& [name, solver] : split_solvers()) names.push_back(name);
  return names;
}

}  // namespace headstart
