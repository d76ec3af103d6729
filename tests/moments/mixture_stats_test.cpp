#include "headstart/moments/mixture_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "../support/temp_dir.h"
#include "headstart/core/tensor_file.h"
#include "headstart/data/safetensors.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

MixtureStats example() {
  MixtureStats s = random_mixture(8, 3, {.rank = 3});
  s.shape = {2, 2, 2};
  s.count = 17;
  s.range_low = -3;
  s.range_high = 2.5;
  s.data_sha256 = "abc";
  return s;
}

bool are_equal(const MixtureStats& a, const MixtureStats& b) {
  return torch::equal(a.weights, b.weights) && torch::equal(a.mean, b.mean) && torch::equal(a.basis, b.basis) &&
         torch::equal(a.eigenvalues, b.eigenvalues) && torch::equal(a.tail, b.tail) && a.classes == b.classes && a.shape == b.shape &&
         a.count == b.count && a.range_low == b.range_low && a.range_high == b.range_high && a.data_sha256 == b.data_sha256;
}

TEST(MixtureFile, RoundTripsExactly) {
  const TempDir dir;
  const std::string path = dir / "m.safetensors";
  for (const std::vector<std::int64_t>& classes : {std::vector<std::int64_t>{}, {0, 0, 7}, {-1, 12, 3}}) {
    MixtureStats s = example();
    s.classes = classes;
    save_mixture(path, s);
    EXPECT_TRUE(are_equal(load_mixture(path), s));
    EXPECT_EQ(SafetensorsFile(path).metadata("format"), "headstart-stats");
    EXPECT_EQ(SafetensorsFile(path).metadata().contains("classes"), !classes.empty());
  }
}

TEST(MixtureFile, OfOneGaussianIsAMixtureOfOneAndBack) {
  const TempDir dir;
  GaussianStats s = random_gaussian(8, {.rank = 3});
  s.shape = {2, 2, 2};
  save_stats(dir / "g.safetensors", s);
  const MixtureStats m = load_mixture(dir / "g.safetensors");
  EXPECT_EQ(m.components(), 1);
  const GaussianStats back = m.component(0);
  EXPECT_TRUE(torch::equal(back.mean, s.mean) && torch::equal(back.basis, s.basis) && torch::equal(back.eigenvalues, s.eigenvalues));
  EXPECT_EQ(back.tail, s.tail);
  EXPECT_EQ(back.shape, s.shape);
  EXPECT_NEAR(m.trace(), s.trace(), 1e-14);
  EXPECT_NEAR(m.energy(), s.energy(), 1e-14);
}

TEST(MixtureFile, RefusesWhatIsInconsistentAndNamesTheFile) {
  const TempDir dir;
  const std::string path = dir / "m.safetensors";
  const auto refusal = [&](const std::function<void(MixtureStats&)>& change) {
    MixtureStats s = example();
    change(s);
    save_mixture(path, s);
    return message_of<DataError>([&] { load_mixture(path); });
  };
  EXPECT_THAT(refusal([](auto& s) { s.weights = s.weights * 2; }),
              HasSubstr(path + ": expected weights not negative and of sum 1, got the sum 2"));
  EXPECT_THAT(refusal([](auto& s) { s.weights = torch::tensor({-0.5, 1.0, 0.5}, torch::kFloat64); }), HasSubstr("weights not negative"));
  EXPECT_THAT(refusal([](auto& s) { s.mean[1][2] = NAN; }), HasSubstr("finite values in mean"));
  EXPECT_THAT(refusal([](auto& s) { s.eigenvalues = s.eigenvalues.flip(1); }), HasSubstr("eigenvalues descending"));
  EXPECT_THAT(refusal([](auto& s) { s.tail[2] = -1; }), HasSubstr("a tail not negative"));
  EXPECT_THAT(refusal([](auto& s) { s.basis[2][0][0] += 0.01; }), HasSubstr("length 1 that are orthogonal"));
  EXPECT_THAT(refusal([](auto& s) { s.basis = s.basis.narrow(2, 0, 2); }),
              HasSubstr("expected basis of shape [3, 8, 3] for 3 components, got [3, 8, 2]"));
  EXPECT_THAT(refusal([](auto& s) { s.tail = s.tail.narrow(0, 0, 2); }), HasSubstr("expected tail of shape [3]"));
  EXPECT_THAT(refusal([](auto& s) { s.shape = {1, 3, 3}; }), HasSubstr("expected a mean of 9 values"));
  EXPECT_THAT(refusal([](auto& s) { s.classes = {1, 2}; }), HasSubstr("classes as 3 labels, got \"1,2\""));
  EXPECT_THAT(message_of<DataError>([&] { load_mixture(dir / "missing"); }), HasSubstr("missing"));
  EXPECT_THAT(message_of<DataError>([&] {
                write_tensors(path, {{"weights", torch::ones({1}, torch::kFloat64)}}, {});
                load_mixture(path);
              }),
              HasSubstr("expected a statistics file"));
  save_mixture(path, example());
  EXPECT_THAT(message_of<DataError>([&] { load_stats(path); }), HasSubstr("statistics of one Gaussian, got a mixture"));
}

TEST(MixtureStats, KnowItsMeanAndTotalVariance) {
  const MixtureStats s = random_mixture(6, 4, {.rank = 2});
  Tensor second = torch::zeros({6, 6}, torch::kFloat64), mean = torch::zeros({6}, torch::kFloat64);
  for (std::int64_t k = 0; k < 4; ++k) {
    mean += s.weights[k] * s.mean[k];
    second += s.weights[k] * (dense_covariance(s.component(k)) + torch::outer(s.mean[k], s.mean[k]));
  }
  EXPECT_LT(largest_difference(s.overall_mean(), mean), 1e-14);
  EXPECT_NEAR(s.trace(), (second - torch::outer(mean, mean)).trace().item<double>(), 1e-12);
  EXPECT_NEAR(s.energy(), 1 - 4 * (s.weights * s.tail).sum().item<double>() / s.trace(), 1e-14);
}

TEST(MixtureStats, GiveTheComponentsOfOneClass) {
  MixtureStats s = example();
  s.classes = {4, 7, 4};
  const MixtureStats part = s.of_class(4);
  EXPECT_EQ(part.components(), 2);
  EXPECT_TRUE(torch::equal(part.mean[1], s.mean[2]));
  EXPECT_NEAR(part.weights[1].item<double>(), 0.75, 1e-14);  // 3 of 1 + 3
  EXPECT_EQ(part.data_sha256, "abc");
  EXPECT_EQ(message_of<InvalidArgument>([&] { s.of_class(5); }), "[MixtureStats::of_class] expected one of the classes {4, 7}, got 5");
}

TEST(Joined, RefusesPartsThatDoNotFit) {
  const MixtureStats a = random_mixture(6, 2, {.rank = 2});
  const auto refusal = [](const std::vector<MixtureStats>& parts, const std::vector<double>& shares) {
    return message_of<InvalidArgument>([&] { joined(parts, shares); });
  };
  EXPECT_THAT(refusal({a, random_mixture(6, 1, {.rank = 3})}, {1, 1}), HasSubstr("dimension 6 and rank 2, got 6 and 3"));
  EXPECT_THAT(refusal({a, random_mixture(5, 1, {.rank = 2})}, {1, 1}), HasSubstr("got 5 and 2"));
  EXPECT_THAT(refusal({a}, {1, 1}), HasSubstr("as many shares, got 1 and 2"));
  EXPECT_THAT(refusal({}, {}), HasSubstr("got 0 and 0"));
}

}  // namespace
}  // namespace headstart
