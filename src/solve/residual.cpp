#include "headstart/solve/residual.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "split.h"

namespace headstart {
namespace {

using torch::Tensor;

using SplitSolver = std::function<Tensor(const Split&, const Denoiser&, const Tensor&, const std::vector<double>&, const SolveOptions&)>;

struct ResidualForm {
  std::string name;
  ResidualWeight usual;
  SplitSolver solver;
};

const std::vector<ResidualForm>& residual_forms() {
  using enum ResidualWeight;
  static const std::vector<ResidualForm> all{
      {"dpmpp_2m", mode, [](const auto&... rest) { return dpmpp_multistep("residual dpmpp_2m", 2, rest...); }},
      {"dpmpp_3m", mode, [](const auto&... rest) { return dpmpp_multistep("residual dpmpp_3m", 3, rest...); }},
      {"unipc_bh1", mode, [](const auto&... rest) { return unipc("residual unipc_bh1", Growth::linear, rest...); }},
      {"unipc_bh2", mode, [](const auto&... rest) { return unipc("residual unipc_bh2", Growth::exponential, rest...); }},
      {"ipndm", scalar, [](const auto&... rest) { return ipndm("residual ipndm", rest...); }}};
  return all;
}

}  // namespace

Solver residual_solver(const std::string& name, std::shared_ptr<const LinearPart> part, const ResidualOptions& o) {
  const auto found = std::ranges::find(residual_forms(), name, &ResidualForm::name);
  if (found == residual_forms().end())
    throw InvalidArgument(
        fmt::format("--residual: expected --solver to be one of {}, got {}", fmt::join(residual_solver_names(), ", "), name));
  if (!(o.sigma_c >= 0)) throw InvalidArgument(fmt::format("[residual_solver] expected sigma_c >= 0, got {}", o.sigma_c));
  return [solver = found->solver, part = std::move(part), sigma_c = o.sigma_c, weight = o.weight.value_or(found->usual)](
             const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
    return solver({.part = part.get(), .sigma_c = sigma_c, .weight = weight}, denoiser, x, sigmas, options);
  };
}

std::vector<std::string> residual_solver_names() {
  std::vector<std::string> names;
  for (const ResidualForm& form : residual_forms()) names.push_back(form.name);
  return names;
}

}  // namespace headstart
