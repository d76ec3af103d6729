#include "headstart/metrics/reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "headstart/core/tensor_file.h"
#include "headstart/data/npz.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using torch::Tensor;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string read_text(const std::string& path, const std::string& key) {
  const Array array = read_npz(path, key);
  if (array.dtype != DType::U8) throw DataError(path, fmt::format("expected {} to be text as uint8, got {}", key, to_string(array.dtype)));
  return {reinterpret_cast<const char*>(array.bytes.data()), array.bytes.size()};
}

ArrayView view_of_text(const std::string& text) {
  return {DType::U8, {static_cast<std::int64_t>(text.size())}, std::as_bytes(std::span(text))};
}

/// "pixels", or "name (sha256 1a2b3c4d...)".
std::string label(const std::string& name, const std::string& sha256) {
  return sha256.empty() ? name : fmt::format("{} (sha256 {}...)", name, sha256.substr(0, 8));
}

ArrayView view_of_values(const Tensor& contiguous) {
  return view_of<double>(contiguous.sizes().vec(), {contiguous.data_ptr<double>(), static_cast<std::size_t>(contiguous.numel())});
}

}  // namespace

bool is_reference(const std::string& path) {
  if (!is_zip(path)) return false;
  const auto names = npz_names(path);
  return contains(names, "mu") && contains(names, "sigma");
}

FeatureReference read_reference(const std::string& path) {
  const auto names = npz_names(path);
  FeatureReference reference;
  Tensor& mean = reference.moments.mean;
  Tensor& covariance = reference.moments.covariance;
  mean = to_tensor(read_npz(path, "mu")).to(torch::kFloat64);
  covariance = to_tensor(read_npz(path, "sigma")).to(torch::kFloat64);
  const auto width = mean.numel();
  if (mean.dim() != 1 || width < 1 || covariance.dim() != 2 || covariance.size(0) != width || covariance.size(1) != width)
    throw DataError(path, "expected mu of shape [F] and sigma of shape [F, F]");
  if ((covariance - covariance.t()).abs().max().item<double>() > kEigenvalueRounding * covariance.abs().max().item<double>())
    throw DataError(path, "expected a symmetric sigma");
  const Tensor values = torch::linalg_eigvalsh(covariance);
  const double least = values.min().item<double>(), largest = values.max().item<double>();
  if (least < -kEigenvalueRounding * largest)
    throw DataError(path, fmt::format("expected sigma to be a covariance, got eigenvalues from {:.3g} to {:.3g}", least, largest));

  const auto numbers = [&](const std::string& key, std::size_t count) {
    const std::vector<double> found = to_double(read_npz(path, key));
    if (found.size() != count || *std::min_element(found.begin(), found.end()) < 1)
      throw DataError(path, fmt::format("expected {} positive numbers in {}, got {}", count, key, found.size()));
    return found;
  };
  if (contains(names, "num")) reference.moments.count = static_cast<std::int64_t>(numbers("num", 1)[0]);
  if (contains(names, "features")) reference.features = read_text(path, "features");
  if (contains(names, "features_sha256")) reference.features_sha256 = read_text(path, "features_sha256");
  if (contains(names, "shape")) {
    const auto sizes = numbers("shape", 3);
    reference.shape = {static_cast<std::int64_t>(sizes[0]), static_cast<std::int64_t>(sizes[1]), static_cast<std::int64_t>(sizes[2])};
  }
  return reference;
}

void write_reference(const std::string& path, const FeatureReference& reference) {
  const Tensor mean = reference.moments.mean.contiguous(), covariance = reference.moments.covariance.contiguous();
  std::vector<NamedArray> arrays{{"mu", view_of_values(mean)}, {"sigma", view_of_values(covariance)}};
  const std::int64_t count = reference.moments.count;
  if (count > 0) arrays.push_back({"num", view_of<std::int64_t>({}, std::span(&count, 1))});
  if (!reference.features.empty()) arrays.push_back({"features", view_of_text(reference.features)});
  if (!reference.features_sha256.empty()) arrays.push_back({"features_sha256", view_of_text(reference.features_sha256)});
  std::vector<std::int64_t> sizes;
  if (reference.shape) sizes = {reference.shape->channels, reference.shape->height, reference.shape->width};
  if (reference.shape) arrays.push_back({"shape", view_of<std::int64_t>({3}, sizes)});
  write_npz(path, arrays);
}

void require_same_space(const std::string& path, const FeatureReference& reference, const FeatureSpace& space, const ImageShape& shape) {
  // A file that was renamed is still the same network, so the hash decides where there is one.
  const bool known = !reference.features.empty() || !reference.features_sha256.empty();
  const bool same = reference.features_sha256 == space.sha256() && (!space.sha256().empty() || reference.features == space.name());
  if (known && !same)
    throw InvalidArgument(fmt::format("{}: expected a reference in features {}, got {}", path, label(space.name(), space.sha256()),
                                      label(reference.features, reference.features_sha256)));
  if (reference.shape && *reference.shape != shape)
    throw InvalidArgument(
        fmt::format("{}: expected a reference of images of shape {}, got {}", path, to_string(shape), to_string(*reference.shape)));
}

}  // namespace headstart
