#include "headstart/solve/solver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "headstart/error.h"
#include "headstart/solve/adams.h"
#include "headstart/solve/ancestral.h"
#include "headstart/solve/dpm_solver.h"
#include "headstart/solve/dpm_v3.h"
#include "headstart/solve/one_step.h"
#include "headstart/solve/unipc.h"

namespace headstart {
namespace {

struct Entry {
  std::string name;
  Solver solver;
  std::int64_t most_order = 0;
  bool stochastic = false;
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{{"heun", sample_heun},
                                      {"euler", sample_euler},
                                      {"ddim", sample_euler},
                                      {"dpmpp_2m", sample_dpmpp_2m, 2},
                                      {"dpmpp_3m", sample_dpmpp_3m, 3},
                                      {"dpmpp_2s", sample_dpmpp_2s},
                                      {"dpmpp_3s", sample_dpmpp_3s},
                                      {"unipc_bh1", sample_unipc_bh1, 3},
                                      {"unipc_bh2", sample_unipc_bh2, 3},
                                      {"dpm_v3", sample_dpm_v3, 3},
                                      {"deis", sample_deis, 4},
                                      {"ipndm", sample_ipndm, 4},
                                      {"ddpm", sample_ddpm, 0, true},
                                      {"sde_dpmpp_2m", sample_sde_dpmpp_2m, 0, true},
                                      {"rk45", sample_rk45}};
  return all;
}

const Entry& find(const std::string& name) {
  const auto found = std::ranges::find(entries(), name, &Entry::name);
  if (found == entries().end())
    throw InvalidArgument(fmt::format("--solver: expected one of {}, got {}", fmt::join(solver_names(), ", "), name));
  return *found;
}

}  // namespace

Solver find_solver(const std::string& name) { return find(name).solver; }

std::int64_t most_order(const std::string& name) { return find(name).most_order; }

bool is_stochastic(const std::string& name) { return find(name).stochastic; }

std::vector<std::string> solver_names() {
  std::vector<std::string> names;
  for (const auto& entry : entries()) names.push_back(entry.name);
  return names;
}

}  // namespace headstart
