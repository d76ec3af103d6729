#include <fmt/format.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cli.h"
#include "data_tensors.h"
#include "headstart/data/image_stream.h"
#include "headstart/data/safetensors.h"
#include "headstart/data/sha256.h"
#include "headstart/error.h"
#include "headstart/metrics/reference.h"
#include "headstart/moments/mixture_stats.h"
#include "headstart/nets/network.h"
#include "run_dir.h"

namespace headstart::app {
namespace {

using nlohmann::ordered_json;

/// By the start, so that data of any size are not read for it: a length, then a JSON object.
bool is_safetensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 9> start{};
  if (!file.read(start.data(), start.size()) || start[8] != '{') return false;
  std::uint64_t length = 0;
  std::memcpy(&length, start.data(), sizeof(length));
  return length <= std::filesystem::file_size(path);
}

ordered_json describe_safetensors(const std::string& path) {
  const SafetensorsFile file(path);
  ordered_json json;
  const auto format = file.metadata().find("format");
  const std::string kind = format == file.metadata().end() ? "" : format->second;
  json["kind"] = kind == "headstart-stats"        ? "statistics"
                 : kind == "headstart-network"    ? "network"
                 : kind == "headstart-checkpoint" ? "checkpoint"
                                                  : "safetensors";
  if (json["kind"] == "statistics") {
    const bool is_one = !file.contains("weights");
    const MixtureStats stats = load_mixture(path);
    if (!is_one) json["components"] = stats.components();
    json["dim"] = stats.dim();
    json["rank"] = stats.rank();
    json["trace"] = stats.trace();
    json["largest_eigenvalue"] = stats.eigenvalues.max().item<double>();
    const double least = stats.tail.min().item<double>(), most = stats.tail.max().item<double>();
    json["tail"] = is_one ? ordered_json(least) : ordered_json({least, most});
    if (!is_one) json["weights"] = {stats.weights.min().item<double>(), stats.weights.max().item<double>()};
  }
  std::int64_t values = 0;
  for (const auto& name : file.names()) {
    std::int64_t size = 1;
    for (const auto extent : file.get(name).shape) size *= extent;
    values += size;
  }
  json["tensors"] = file.names().size();
  json["values"] = values;
  for (const auto& [key, value] : file.metadata()) json["metadata"][key] = value;
  return json;
}

ordered_json describe_network(const std::string& path) {
  const auto network = load_network(path);
  const NetworkInfo& info = network->info();
  ordered_json json;
  json["kind"] = info.kind;
  json["prediction"] = info.prediction;
  json["shape"] = to_string(info.shape);
  json["range"] = {info.range_low, info.range_high};
  json["sigma_min"] = info.sigma_min;
  json["sigma_max"] = info.sigma_max;
  json["parameters"] = info.parameters;
  if (info.classes > 0) json["classes"] = info.classes;
  return json;
}

ordered_json describe_reference(const std::string& path) {
  const FeatureReference reference = read_reference(path);
  ordered_json json;
  json["kind"] = "reference";
  json["width"] = reference.moments.mean.numel();
  if (reference.moments.count > 0) json["count"] = reference.moments.count;
  if (!reference.features.empty()) json["features"] = reference.features;
  if (!reference.features_sha256.empty()) json["features_sha256"] = reference.features_sha256;
  if (reference.shape) json["shape"] = to_string(*reference.shape);
  return json;
}

ordered_json info_verb(const std::string& path, const std::string& as, const Cli& cli) {
  const bool name = path == "fashion-mnist" || path == "fashion-mnist-test";
  if (!name && !std::filesystem::exists(path)) throw DataError(path, "no such file or folder");
  ordered_json json;
  if (std::filesystem::exists(path + "/run.json")) {
    json = read_json(path + "/run.json");
    json["kind"] = "run";
  } else if (std::filesystem::is_regular_file(path) && is_safetensors(path)) {
    json = describe_safetensors(path);
  } else if (std::filesystem::is_regular_file(path) && std::filesystem::path(path).extension() == ".pt") {
    json = describe_network(path);
  } else if (is_reference(path)) {
    json = describe_reference(path);
  } else {
    const auto stream = open_data(path, as);
    json["kind"] = "data";
    json["count"] = stream->count();
    json["shape"] = to_string(stream->shape());
    json["values"] = stream->is_uint8() ? "uint8, scaled to [-1, 1]" : "float, in data units";
    json["labels"] = !stream->labels().empty();
  }
  ordered_json result;
  result["file"] = path;
  result.update(json);
  if (std::filesystem::is_regular_file(path)) result["sha256"] = sha256_file(path);
  for (const auto& [key, value] : result.items())
    say(cli, fmt::format("{:<20}{}", key, value.is_string() ? value.get<std::string>() : value.dump()));
  return result;
}

}  // namespace

void add_info(CLI::App& app, Cli& cli) {
  struct Options {
    std::string path, as;
  };
  auto o = std::make_shared<Options>();
  auto* verb = add_verb(app, cli, "info", "What a file or folder is.", [o](const Cli& c) { return info_verb(o->path, o->as, c); });
  verb->add_option("file", o->path, "statistics, network, reference, run, or data")->required();
  add_as_option(*verb, o->as);
}

}  // namespace headstart::app
