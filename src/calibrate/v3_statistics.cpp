#include "headstart/calibrate/v3_statistics.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <tuple>
#include <vector>

#include "headstart/core/tensor_file.h"
#include "headstart/data/atomic_file.h"
#include "headstart/data/npz.h"
#include "headstart/error.h"
#include "headstart/solve/dpm_solver.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using torch::Tensor;

// Steps of the differences: large enough for a float32 network, small enough for the curvature.
constexpr double kProbe = 1.0 / 32;      // of sigma, along a vector of signs: the error of order one has mean zero
constexpr double kFlowStep = 1.0 / 512;  // of u

constexpr double kMostSlope = 4;  // trained networks' are about 2 at most; a larger one is noise, and exp of its integral may overflow

/// Means over the points, level by level, of what l, s and b are made of: x, y = x - D, y' along the flow, and their products.
struct PointMeans {
  explicit PointMeans(const std::vector<double>& sigmas, std::int64_t dim) {
    for (Tensor* t : {&l, &x, &y, &dy, &xx, &xy, &yy, &x_dy, &y_dy})
      *t = torch::empty({static_cast<std::int64_t>(sigmas.size()), dim}, torch::kFloat64);
  }
  Tensor l, x, y, dy, xx, xy, yy, x_dy, y_dy;  // [N + 1, D]
};

void measure(PointMeans& means, std::int64_t level, const Denoiser& denoiser, const Tensor& x, double sigma, const Tensor& signs) {
  const double probe = kProbe * sigma;
  const Tensor denoised = denoiser.denoise(x, sigma), y = x - denoised;
  const Tensor along = (denoiser.denoise(x + probe * signs, sigma) - denoised) / probe;
  const double du = level + 1 < means.l.size(0) ? kFlowStep : -kFlowStep;    // below the last level the model may know nothing
  const Tensor moved = denoiser.denoise(x - du * y, sigma * std::exp(-du));  // dx/du = -y
  const Tensor dy = -y - (moved - denoised) / du;
  const auto set = [&](const Tensor& table, const Tensor& values) { table[level].copy_(values.mean(0)); };
  set(means.l, 1 - along * signs);
  set(means.x, x);
  set(means.y, y);
  set(means.dy, dy);
  set(means.xx, x * x);
  set(means.xy, x * y);
  set(means.yy, y * y);
  set(means.x_dy, x * dy);
  set(means.y_dy, y * dy);
}

/// The derivative of what is linear between levels, averaged over the two sides of each.
Tensor derivative(const Tensor& table, double spacing) {
  const Tensor slopes = table.diff(1, 0) / spacing, first = slopes.narrow(0, 0, 1), last = slopes.narrow(0, slopes.size(0) - 1, 1);
  return (torch::cat({first, slopes}) + torch::cat({slopes, last})) / 2;
}

/// Eq. 58, 60 and 61, with n = y - l x and n' = y' - l' x + l y.
V3Statistics statistics_of(const PointMeans& m, const V3EstimateOptions& o) {
  const Tensor& l = m.l;
  const Tensor dl = derivative(l, std::log(o.sigma_max / o.sigma_min) / static_cast<double>(o.cells));
  const Tensor xx = m.xx - m.x * m.x, xy = m.xy - m.x * m.y, yy = m.yy - m.y * m.y, x_dy = m.x_dy - m.x * m.dy, y_dy = m.y_dy - m.y * m.dy;
  const Tensor variance = yy - 2 * l * xy + l * l * xx;
  const Tensor covariance = y_dy - dl * xy + l * yy - l * x_dy + l * dl * xx - l * l * xy;
  // Where n is constant, but for the error of l, both are noise: below 1e-4 of y no slope is believed.
  const Tensor s = (covariance / (variance + 1e-8 * m.yy)).clamp(-kMostSlope, kMostSlope);
  V3Statistics v3{.l = l, .s = s, .b = {}, .sigma_min = o.sigma_min, .sigma_max = o.sigma_max};
  v3.b = m.dy - dl * m.x + l * m.y - v3.s * (m.y - l * m.x);
  if (!(v3.l + v3.s + v3.b).isfinite().all().item<bool>()) throw NumericalError("[estimate_v3] expected finite denoised estimates");
  return v3;
}

std::vector<double> levels_of(const V3EstimateOptions& o) {
  if (o.cells < 1) throw InvalidArgument(fmt::format("[estimate_v3] expected cells >= 1, got {}", o.cells));
  return spaced_sigmas(log_spacing(), {.steps = o.cells + 1, .sigma_min = o.sigma_min, .sigma_max = o.sigma_max, .final_zero = false});
}

void require_some(const Tensor& points, std::int64_t dim) {
  require_points("estimate_v3", points, dim);
  if (points.size(0) < 2) throw InvalidArgument(fmt::format("[estimate_v3] expected at least 2 points, got {}", points.size(0)));
}

Tensor random_signs(const Tensor& like, std::uint64_t seed) {
  return at::randint(0, 2, like.sizes(), at::detail::createCPUGenerator(seed), torch::kFloat64) * 2 - 1;
}

Tensor read_table(const std::string& path, const std::string& key, const ImageShape& shape) {
  const Array array = read_npz(path, key);
  const std::vector<std::int64_t> expected{array.shape.empty() ? 0 : array.shape[0], shape.channels, shape.height, shape.width};
  if (array.shape != expected || array.shape[0] < 2)
    throw DataError(path, fmt::format("expected {} of shape [N + 1, {}, {}, {}], got {}", key, shape.channels, shape.height, shape.width,
                                      shape_to_string(array.shape)));
  return to_tensor(array).to(torch::kFloat64).flatten(1);
}

/// Levels and network of the statistics.
void read_range(const std::string& path, V3Statistics& v3) {
  std::ifstream file(path);
  if (!file) throw DataError(path, "no such file; a range given with the statistics takes its place");
  const auto json = nlohmann::json::parse(file, nullptr, false);
  try {
    v3.sigma_min = json.at("sigma_min").get<double>();
    v3.sigma_max = json.at("sigma_max").get<double>();
    v3.network_sha256 = json.value("network_sha256", std::string());
  } catch (const nlohmann::json::exception&) {
    throw DataError(path, "expected a JSON object with the numbers sigma_min and sigma_max");
  }
}

std::string inside(const std::string& folder, const char* name) { return (std::filesystem::path(folder) / name).string(); }

}  // namespace

V3Statistics estimate_v3(const Denoiser& denoiser, const Tensor& data, const Tensor& noise, const V3EstimateOptions& o) {
  require_some(data, denoiser.dim());
  if (noise.sizes() != data.sizes())
    throw InvalidArgument(fmt::format("[estimate_v3] expected noise of shape [{}, {}]", data.size(0), data.size(1)));
  const auto sigmas = levels_of(o);
  const Tensor clean = data.to(torch::kFloat64), signs = random_signs(clean, o.seed);
  PointMeans means(sigmas, denoiser.dim());
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    measure(means, static_cast<std::int64_t>(i), denoiser, clean + sigmas[i] * noise, sigmas[i], signs);
    if (o.on_level) o.on_level(static_cast<std::int64_t>(i) + 1);
  }
  return statistics_of(means, o);
}

V3Statistics estimate_v3_on_paths(const Denoiser& denoiser, const Tensor& noise, const V3EstimateOptions& o) {
  require_some(noise, denoiser.dim());
  const auto sigmas = levels_of(o);
  const Tensor start = sigmas.front() * noise.to(torch::kFloat64), signs = random_signs(start, o.seed);
  PointMeans means(sigmas, denoiser.dim());
  const auto visit = [&](std::size_t i, const Tensor& x) {
    measure(means, static_cast<std::int64_t>(i), denoiser, x, sigmas[i], signs);
    if (o.on_level) o.on_level(static_cast<std::int64_t>(i) + 1);
  };
  visit(0, start);
  sample_dpmpp_2m(denoiser, start, sigmas, {.on_step = [&](std::size_t i, const Tensor& x) { visit(i + 1, x); }});
  return statistics_of(means, o);
}

void save_v3(const std::string& folder, const V3Statistics& v3, const ImageShape& shape) {
  require_statistics("save_v3", v3);
  const auto write = [&](const char* file, const std::vector<std::pair<const char*, Tensor>>& tables) {
    std::vector<Tensor> kept;
    std::vector<NamedArray> arrays;
    for (const auto& [key, table] : tables) {
      kept.push_back(table.to(torch::kFloat32).contiguous());
      arrays.push_back(
          {key, view_of<float>({table.size(0), shape.channels, shape.height, shape.width},
                               std::span<const float>(kept.back().data_ptr<float>(), static_cast<std::size_t>(table.numel())))});
    }
    write_npz(inside(folder, file), arrays);
  };
  const std::string range_file = inside(folder, "range.json");
  std::filesystem::remove(range_file);  // comes back last, so that no interruption leaves files that do not belong together
  write("l.npz", {{"l", v3.l}});
  write("sb.npz", {{"s", v3.s}, {"b", v3.b}});
  nlohmann::ordered_json range{{"sigma_min", v3.sigma_min}, {"sigma_max", v3.sigma_max}};
  if (!v3.network_sha256.empty()) range["network_sha256"] = v3.network_sha256;
  write_file_atomically(range_file, range.dump() + "\n");
}

V3Statistics load_v3(const std::string& folder, const ImageShape& shape, std::optional<std::pair<double, double>> range) {
  const std::string l = inside(folder, "l.npz"), sb = inside(folder, "sb.npz");
  V3Statistics v3{.l = read_table(l, "l", shape), .s = read_table(sb, "s", shape), .b = read_table(sb, "b", shape)};
  if (v3.s.sizes() != v3.l.sizes() || v3.b.sizes() != v3.l.sizes())
    throw DataError(sb, fmt::format("expected s and b of {} levels as in l.npz, got {} and {}", v3.l.size(0), v3.s.size(0), v3.b.size(0)));
  if (range)
    std::tie(v3.sigma_min, v3.sigma_max) = *range;
  else
    read_range(inside(folder, "range.json"), v3);
  require_statistics("load_v3", v3);
  return v3;
}

}  // namespace headstart
