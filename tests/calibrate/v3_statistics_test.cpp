#include "headstart/calibrate/v3_statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "../support/temp_dir.h"
#include "headstart/data/npz.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kStatDim = 6;
const ImageShape kStatShape{1, 2, 3};

GaussianStats independent_gaussian() {
  GaussianStats s = random_gaussian(kStatDim);
  s.basis = torch::eye(kStatDim, torch::kFloat64);
  return s;
}

Tensor draws_of(const GaussianStats& s, std::int64_t count) {
  return s.mean + (random_normal({count, kStatDim}, 4) * s.eigenvalues.sqrt()).mm(s.basis.t());
}

TEST(EstimateV3, GivesOneExactStepOnAGaussianOfIndependentDimensions) {
  const GaussianStats s = independent_gaussian();
  const GaussianDenoiser denoiser(s);
  const Tensor noise = random_normal({8, kStatDim}, 5), x = s.mean + 80 * random_normal({3, kStatDim}, 2);
  const Tensor exact = gaussian_flow(s, x, {.from = 80, .to = 0.01});
  for (const V3Statistics& v3 :
       {estimate_v3(denoiser, draws_of(s, 8), noise, {.cells = 240}), estimate_v3_on_paths(denoiser, noise, {.cells = 240})}) {
    const Tensor end = sample_dpm_v3(denoiser, x, {80, 0.01}, {.v3 = std::make_shared<V3Statistics>(v3)});
    EXPECT_LT(largest_difference(end, exact), 0.01);  // the differences' own error
  }
}

/// With a covariance that is not diagonal, l is still the diagonal of d(x - D)/dx; one vector of signs a point estimates it with an error
/// of (what is off the diagonal) / sqrt(K) < 0.5 / sqrt(5000), here allowed five times.
TEST(EstimateV3, FindsTheDiagonalOfTheJacobian) {
  const GaussianStats s = random_gaussian(kStatDim);
  const V3Statistics v3 = estimate_v3(GaussianDenoiser(s), draws_of(s, 5000), random_normal({5000, kStatDim}, 5),
                                      {.cells = 4, .sigma_min = 0.1, .sigma_max = 10});
  const Tensor eye = torch::eye(kStatDim, torch::kFloat64);
  for (const auto& [level, sigma] : {std::pair(0, 10.0), {2, 1.0}, {4, 0.1}}) {
    const Tensor jacobian = sigma * sigma * torch::linalg_inv(dense_covariance(s) + sigma * sigma * eye);
    EXPECT_LT(largest_difference(v3.l[level], jacobian.diagonal()), 0.035) << sigma;
  }
}

/// n' = s n + b holds best in mean square: what is left has mean zero and no correlation with n.
TEST(EstimateV3, RegressesTheDerivativeAlongTheFlow) {
  const GaussianStats s = random_gaussian(kStatDim);
  const GaussianDenoiser denoiser(s);
  const Tensor data = draws_of(s, 200), noise = random_normal({200, kStatDim}, 5);
  const V3Statistics v3 = estimate_v3(denoiser, data, noise, {.cells = 400});
  const std::int64_t level = 200;
  const double sigma = std::sqrt(80 * 0.002), spacing = std::log(80 / 0.002) / 400;
  const Tensor x = data + sigma * noise;
  const auto n_at = [&](double du) {  // along the exact flow
    const double to = sigma * std::exp(-du);
    const Tensor moved = gaussian_flow(s, x, {.from = sigma, .to = to});
    const Tensor l = v3.l[level] + du / spacing * (v3.l[level + (du > 0 ? 1 : -1)] - v3.l[level]) * (du > 0 ? 1 : -1);
    return moved - denoiser.denoise(moved, to) - l * moved;
  };
  const double du = 1e-3;
  const Tensor n = n_at(0), left = (n_at(du) - n_at(-du)) / (2 * du) - v3.s[level] * n - v3.b[level];
  EXPECT_LT(left.mean(0).abs().max().item<double>(), 5e-3);
  EXPECT_LT((left * (n - n.mean(0))).mean(0).abs().max().item<double>() / n.var(0).max().item<double>(), 5e-3);
  EXPECT_GT(v3.s[level].abs().max().item<double>(), 0.05);  // it has something to find
}

TEST(EstimateV3, SpendsWhatItSays) {
  const GaussianDenoiser denoiser(independent_gaussian());
  Counted counted(denoiser);
  const Tensor noise = random_normal({40, kStatDim}, 5);
  std::int64_t levels = 0;
  estimate_v3(counted, noise, noise, {.cells = 7, .on_level = [&](std::int64_t done) { levels = done; }});
  EXPECT_EQ(counted.nfe(), 3 * 8);
  EXPECT_EQ(levels, 8);
  counted.reset();
  estimate_v3_on_paths(counted, noise, {.cells = 7});
  EXPECT_EQ(counted.nfe(), 3 * 8 + 7);
}

TEST(EstimateV3, RefusesWhatMakesNoSense) {
  const GaussianDenoiser denoiser(independent_gaussian());
  const Tensor points = random_normal({4, kStatDim}, 5);
  const auto refusal = [&](const Tensor& data, const Tensor& noise, const V3EstimateOptions& options) {
    return message_of<InvalidArgument>([&] { estimate_v3(denoiser, data, noise, options); });
  };
  EXPECT_THAT(refusal(points.narrow(1, 0, 2), points, {}), HasSubstr("expected x of shape"));
  EXPECT_THAT(refusal(points, points.narrow(0, 0, 2), {}), HasSubstr("expected noise of shape [4, 6]"));
  EXPECT_THAT(refusal(points.narrow(0, 0, 1), points.narrow(0, 0, 1), {}), HasSubstr("at least 2 points, got 1"));
  EXPECT_THAT(refusal(points, points, {.cells = 0}), HasSubstr("cells >= 1, got 0"));
  EXPECT_THAT(refusal(points, points, {.sigma_min = 3, .sigma_max = 2}), HasSubstr("sigma_min < sigma_max"));
}

V3Statistics small_statistics() {
  return {.l = random_normal({5, kStatDim}, 1).to(torch::kFloat32).to(torch::kFloat64),
          .s = random_normal({5, kStatDim}, 2).to(torch::kFloat32).to(torch::kFloat64),
          .b = random_normal({5, kStatDim}, 3).to(torch::kFloat32).to(torch::kFloat64),
          .sigma_min = 0.01,
          .sigma_max = 50};
}

TEST(V3Files, ComeBackAsTheyWere) {
  const TempDir dir;
  V3Statistics v3 = small_statistics();
  v3.network_sha256 = "0123abcd";
  save_v3(dir.path(), v3, kStatShape);
  const V3Statistics read = load_v3(dir.path(), kStatShape);
  EXPECT_TRUE(read.l.equal(v3.l) && read.s.equal(v3.s) && read.b.equal(v3.b));
  EXPECT_EQ(read.sigma_min, 0.01);
  EXPECT_EQ(read.sigma_max, 50);
  EXPECT_EQ(read.network_sha256, v3.network_sha256);
  EXPECT_EQ(read_npz(dir / "sb.npz", "s").shape, (std::vector<std::int64_t>{5, 1, 2, 3}));
}

TEST(V3Files, TakeTheirRangeFromTheCallerToo) {
  const TempDir dir;
  save_v3(dir.path(), small_statistics(), kStatShape);
  std::filesystem::remove(dir / "range.json");
  EXPECT_THAT(message_of<DataError>([&] { load_v3(dir.path(), kStatShape); }), HasSubstr("range.json: no such file"));
  EXPECT_EQ(load_v3(dir.path(), kStatShape, std::pair(0.5, 8.0)).sigma_max, 8);
  EXPECT_THAT(message_of<InvalidArgument>([&] { load_v3(dir.path(), kStatShape, std::pair(8.0, 0.5)); }),
              HasSubstr("0 < sigma_min < sigma_max, got 8 and 0.5"));
}

TEST(V3Files, AreRefusedWhereSomethingIsMissingOrOfAnotherShape) {
  const TempDir dir;
  const auto refusal = [&](const ImageShape& shape) { return message_of<DataError>([&] { load_v3(dir.path(), shape); }); };
  EXPECT_THAT(refusal(kStatShape), HasSubstr("l.npz"));
  save_v3(dir.path(), small_statistics(), kStatShape);
  EXPECT_THAT(refusal({1, 3, 2}), HasSubstr("expected l of shape [N + 1, 1, 3, 2], got [5, 1, 2, 3]"));
  std::filesystem::copy_file(dir / "l.npz", dir / "sb.npz", std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(kStatShape), HasSubstr("has no array s, only: l"));
}

}  // namespace
}  // namespace headstart
