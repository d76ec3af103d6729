#include "headstart/moments/mixture_stats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "headstart/core/tensor_file.h"
#include "headstart/error.h"
#include "stats_file.h"

namespace headstart {
namespace {

using torch::Tensor;

template <class From, class To>
void copy_description(const From& from, To& to) {
  to.shape = from.shape;
  to.count = from.count;
  to.range_low = from.range_low;
  to.range_high = from.range_high;
  to.data_sha256 = from.data_sha256;
}

/// "0,0,1,7" -> labels; empty where the text is none.
std::vector<std::int64_t> parse_labels(const std::string& text) {
  std::vector<std::int64_t> labels;
  for (const char *at = text.data(), *end = at + text.size(); at < end; ++at) {
    std::int64_t label = 0;
    const auto [stop, error] = std::from_chars(at, end, label);
    if (error != std::errc() || (stop != end && *stop != ',')) return {};
    labels.push_back(label);
    at = stop;
  }
  return labels;
}

/// Weighted sum of the tails' variances, sum_k w_k (D - R) tail_k.
double variance_in_tails(const MixtureStats& s) {
  return static_cast<double>(s.dim() - s.rank()) * (s.weights * s.tail).sum().item<double>();
}

}  // namespace

double MixtureStats::trace() const {
  const Tensor between = (mean - overall_mean()).square().sum(1), within = eigenvalues.sum(1);
  return (weights * (between + within)).sum().item<double>() + variance_in_tails(*this);
}

double MixtureStats::energy() const {
  const double total = trace();
  return total > 0 ? 1 - variance_in_tails(*this) / total : 1.0;
}

GaussianStats MixtureStats::component(std::int64_t k) const {
  GaussianStats stats;
  stats.mean = mean[k];
  stats.basis = basis[k];
  stats.eigenvalues = eigenvalues[k];
  stats.tail = tail[k].item<double>();
  copy_description(*this, stats);
  return stats;
}

MixtureStats MixtureStats::of_class(std::int64_t label) const {
  std::vector<std::int64_t> chosen;
  for (std::size_t k = 0; k < classes.size(); ++k)
    if (classes[k] == label) chosen.push_back(static_cast<std::int64_t>(k));
  if (chosen.empty())
    throw InvalidArgument(fmt::format("[MixtureStats::of_class] expected one of the classes {{{}}}, got {}",
                                      fmt::join(std::set(classes.begin(), classes.end()), ", "), label));
  const Tensor index = torch::tensor(chosen);
  MixtureStats part;
  part.weights = weights.index_select(0, index);
  part.weights = part.weights / part.weights.sum();
  part.mean = mean.index_select(0, index);
  part.basis = basis.index_select(0, index);
  part.eigenvalues = eigenvalues.index_select(0, index);
  part.tail = tail.index_select(0, index);
  part.classes.assign(chosen.size(), label);
  copy_description(*this, part);
  return part;
}

MixtureStats mixture_of(const GaussianStats& stats) {
  MixtureStats mixture;
  mixture.weights = torch::ones({1}, torch::kFloat64);
  mixture.mean = stats.mean.unsqueeze(0);
  mixture.basis = stats.basis.unsqueeze(0);
  mixture.eigenvalues = stats.eigenvalues.unsqueeze(0);
  mixture.tail = torch::full({1}, stats.tail, torch::kFloat64);
  copy_description(stats, mixture);
  return mixture;
}

MixtureStats joined(const std::vector<MixtureStats>& parts, const std::vector<double>& shares) {
  if (parts.empty() || parts.size() != shares.size())
    throw InvalidArgument(fmt::format("[joined] expected mixtures and as many shares, got {} and {}", parts.size(), shares.size()));
  const auto concatenated = [&](const auto& field) {
    std::vector<Tensor> tensors;
    for (std::size_t i = 0; i < parts.size(); ++i) tensors.push_back(field(parts[i], shares[i]));
    return torch::cat(tensors);
  };
  MixtureStats whole;
  for (const MixtureStats& part : parts) {
    if (part.dim() != parts[0].dim() || part.rank() != parts[0].rank())
      throw InvalidArgument(fmt::format("[joined] expected mixtures of dimension {} and rank {}, got {} and {}", parts[0].dim(),
                                        parts[0].rank(), part.dim(), part.rank()));
    whole.classes.insert(whole.classes.end(), part.classes.begin(), part.classes.end());
  }
  whole.weights = concatenated([](const MixtureStats& part, double share) { return part.weights * share; });
  whole.weights = whole.weights / whole.weights.sum();
  whole.mean = concatenated([](const MixtureStats& part, double) { return part.mean; });
  whole.basis = concatenated([](const MixtureStats& part, double) { return part.basis; });
  whole.eigenvalues = concatenated([](const MixtureStats& part, double) { return part.eigenvalues; });
  whole.tail = concatenated([](const MixtureStats& part, double) { return part.tail; });
  copy_description(parts[0], whole);
  return whole;
}

void save_mixture(const std::string& path, const MixtureStats& stats) {
  auto metadata = stats_metadata(stats);
  if (!stats.classes.empty()) metadata["classes"] = fmt::format("{}", fmt::join(stats.classes, ","));
  write_tensors(
      path,
      {{"weights", stats.weights}, {"mean", stats.mean}, {"basis", stats.basis}, {"eigenvalues", stats.eigenvalues}, {"tail", stats.tail}},
      metadata);
}

MixtureStats load_mixture(const std::string& path) {
  const StatsFile file(path);
  if (!file.is_mixture()) return mixture_of(read_gaussian(file));
  MixtureStats stats;
  stats.weights = file.read("weights", 1);
  stats.mean = file.read("mean", 2);
  stats.basis = file.read("basis", 3);
  stats.eigenvalues = file.read("eigenvalues", 2);
  stats.tail = file.read("tail", 1);
  const std::int64_t components = stats.components(), dim = stats.dim(), rank = stats.rank();
  const auto require_shape = [&](const char* name, const Tensor& tensor, const std::vector<std::int64_t>& shape) {
    if (tensor.sizes().vec() == shape) return;
    file.refuse(fmt::format("expected {} of shape [{}] for {} components, got [{}]", name, fmt::join(shape, ", "), components,
                            fmt::join(tensor.sizes().vec(), ", ")));
  };
  if (components == 0) file.refuse("expected at least one component");
  if (rank > dim) file.refuse(fmt::format("expected at most {} eigenvalues a component, got {}", dim, rank));
  require_shape("mean", stats.mean, {components, dim});
  require_shape("eigenvalues", stats.eigenvalues, {components, rank});
  require_shape("basis", stats.basis, {components, dim, rank});
  require_shape("tail", stats.tail, {components});
  const double sum = stats.weights.sum().item<double>();
  if ((stats.weights < 0).any().item<bool>() || std::abs(sum - 1) > 1e-6)
    file.refuse(fmt::format("expected weights not negative and of sum 1, got the sum {}", sum));
  file.require_spectrum(stats.basis, stats.eigenvalues, stats.tail);
  file.describe(stats);
  if (file.has_metadata("classes")) {
    stats.classes = parse_labels(file.metadata("classes"));
    if (static_cast<std::int64_t>(stats.classes.size()) != components)
      file.refuse(fmt::format("expected metadata classes as {} labels, got \"{}\"", components, file.metadata("classes")));
  }
  return stats;
}

}  // namespace headstart
