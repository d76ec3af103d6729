#include "v3_stats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "headstart/calibrate/v3_statistics.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"

namespace headstart::app {

void add_v3_options(CLI::App& verb, V3Options& v3, SolveOptions& solve) {
  verb.add_option("--v3_stats", v3.folder, "of dpm_v3: folder with the model's l.npz and sb.npz (see fit --from_network --dpm_v3)");
  verb.add_option("--v3_range", v3.range, "LOW,HIGH: levels of the last and first of them, where the folder has no range.json")
      ->delimiter(',');
  verb.add_flag("--corrector", solve.corrector, "of dpm_v3: repeat each step with the next one's evaluation");
  verb.add_flag("--pseudo_order", solve.pseudo_order, "of dpm_v3: derivatives from as few evaluations as determine them");
}

void read_v3(const V3Options& v3, const Model& model, SamplingOptions& s) {
  if (s.solver != "dpm_v3") {
    if (v3.folder.empty() && v3.range.empty() && !s.solve.corrector && !s.solve.pseudo_order) return;
    throw InvalidArgument(
        fmt::format("--v3_stats, --v3_range, --corrector, --pseudo_order: expected with --solver dpm_v3, got {}", s.solver));
  }
  if (v3.folder.empty()) throw InvalidArgument("--v3_stats: expected a folder of statistics, which --solver dpm_v3 needs");
  std::optional<std::pair<double, double>> range;
  if (!v3.range.empty()) {
    if (v3.range.size() != 2 || !(v3.range[0] > 0) || !(v3.range[1] > v3.range[0]))
      throw InvalidArgument(fmt::format("--v3_range: expected LOW,HIGH with 0 < LOW < HIGH, got {}", fmt::join(v3.range, ",")));
    if (std::filesystem::exists(v3.folder + "/range.json"))
      throw InvalidArgument(fmt::format("--v3_range: expected without {}/range.json, which says the levels", v3.folder));
    range.emplace(v3.range[0], v3.range[1]);
  }
  s.solve.v3 = std::make_shared<const V3Statistics>(load_v3(v3.folder, model.shape, range));
  if (const auto& network = s.solve.v3->network_sha256; !network.empty() && network != model.sha256)
    throw InvalidArgument(fmt::format("--v3_stats: expected statistics of {}, got those of another network in {}", model.path, v3.folder));
  s.v3 = V3Files{.folder = v3.folder, .sha256 = {sha256_file(v3.folder + "/l.npz"), sha256_file(v3.folder + "/sb.npz")}};
}

void require_v3_range(const SamplingOptions& s, const std::vector<double>& sigmas) {
  if (!s.v3) return;
  const V3Statistics& v3 = *s.solve.v3;
  const double lowest = smallest_level(sigmas);
  if (lowest < v3.sigma_min * (1 - 1e-9) || sigmas.front() > v3.sigma_max * (1 + 1e-9))
    throw InvalidArgument(fmt::format("--v3_stats: expected levels in the range [{}, {}] of {}, got {} to {}", v3.sigma_min, v3.sigma_max,
                                      s.v3->folder, sigmas.front(), lowest));
}

void describe_v3(const SamplingOptions& s, nlohmann::ordered_json& json) {
  if (!s.v3) return;
  json["v3_stats"] = s.v3->folder;
  json["v3_sha256"] = s.v3->sha256;
  json["v3_range"] = {s.solve.v3->sigma_min, s.solve.v3->sigma_max};
  json["corrector"] = s.solve.corrector;
  json["pseudo_order"] = s.solve.pseudo_order;
}

}  // namespace headstart::app
