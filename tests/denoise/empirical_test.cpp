#include "headstart/denoise/empirical.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "../core/with_threads.h"
#include "../support/gaussians.h"
#include "../support/temp_dir.h"
#include "headstart/data/mapped_npy.h"
#include "headstart/data/npy.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

/// [B, N] exponents -|x - x_i|^2 / (2 sigma^2), from the differences, in float64.
Tensor brute_exponents(const Tensor& data, const Tensor& x, const Tensor& sigma) {
  const Tensor squares = (x.to(torch::kFloat64).unsqueeze(1) - data.to(torch::kFloat64).unsqueeze(0)).square().sum(2);
  return -squares / (2 * sigma.to(torch::kFloat64).square().reshape({-1, 1}));
}

Tensor brute_force(const Tensor& data, const Tensor& x, const Tensor& sigma) {
  return brute_exponents(data, x, sigma).softmax(1).mm(data.to(torch::kFloat64));
}
Tensor brute_force(const Tensor& data, const Tensor& x, double sigma) {
  return brute_force(data, x, torch::full({1}, sigma, torch::kFloat64));
}

/// The largest relative error of a row.
double relative_error(const Tensor& actual, const Tensor& expected) {
  return ((actual.to(torch::kFloat64) - expected).norm(2, 1) / expected.norm(2, 1)).max().item<double>();
}

/// Points whose variances fall as k^-1.5, as pictures' do, in a random basis.
Tensor cloud(std::int64_t count, std::int64_t dim, std::uint64_t seed = 1) {
  const Tensor basis = std::get<0>(torch::linalg_qr(random_normal({dim, dim}, seed)));
  const Tensor scales = torch::arange(1, dim + 1, torch::kFloat64).pow(-0.75);
  return ((random_normal({count, dim}, seed + 1) * scales).mm(basis) + 0.3).to(torch::kFloat32);
}

/// Tight clusters of about ten, every fourth point a copy of its neighbour.
Tensor clusters(std::int64_t count, std::int64_t dim, double radius) {
  const Tensor centres = cloud(count / 10 + 1, dim, 5).to(torch::kFloat64);
  Tensor points = centres.index_select(0, torch::arange(count) % centres.size(0)) + radius * random_normal({count, dim}, 6);
  const std::int64_t copies = count / 4;
  points.narrow(0, 0, copies).copy_(points.narrow(0, copies, copies).clone());
  return points.to(torch::kFloat32);
}

/// Rows near data points, and one that is nowhere near.
Tensor noisy(const Tensor& data, std::int64_t rows, double sigma) {
  const Tensor chosen = data.index_select(0, torch::arange(rows) * 37 % data.size(0)).to(torch::kFloat64);
  Tensor x = chosen + sigma * random_normal(chosen.sizes(), 9);
  x[rows - 1] += 3;
  return x;
}

const std::vector<double> kSigmas{0.05, 0.1, 0.2, 0.5, 1, 2, 5, 20, 80};

TEST(EmpiricalDenoiser, EqualsBruteForceAtEverySigma) {
  for (const Tensor& data : {cloud(3000, 40), clusters(2000, 48, 0.05), clusters(2000, 48, 0.5), cloud(700, 64) + 20, cloud(900, 3)}) {
    const EmpiricalDenoiser denoiser(data);
    for (const double sigma : kSigmas) {
      const Tensor x = noisy(data, 9, sigma), expected = brute_force(data, x, sigma);
      EXPECT_LT(relative_error(denoiser.denoise(x, sigma), expected), 1e-4) << data.sizes() << " sigma " << sigma;
      const Tensor single = x.to(torch::kFloat32);
      EXPECT_LT(relative_error(denoiser.denoise(single, sigma), brute_force(data, single, sigma)), 1e-4)
          << data.sizes() << " sigma " << sigma;
    }
  }
}

TEST(EmpiricalDenoiser, EqualsBruteForceWithoutBounds) {
  for (const Tensor& data : {cloud(3000, 40), clusters(2000, 48, 0.05), cloud(700, 64) + 20}) {
    const EmpiricalDenoiser denoiser(data, {.rank = 0});
    for (const double sigma : kSigmas) {
      const Tensor x = noisy(data, 9, sigma);
      EXPECT_LT(relative_error(denoiser.denoise(x, sigma), brute_force(data, x, sigma)), 1e-4) << data.sizes() << " sigma " << sigma;
    }
  }
}

TEST(EmpiricalDenoiser, TakesAnyNumberOfPointsAndRows) {
  // One more or less than the tiles, the sample and the micro-batches.
  for (const std::int64_t count : {1, 2, 15, 63, 511, 512, 513, 1025, 4097})
    for (const std::int64_t rows : {1, 15, 16, 17}) {
      const Tensor data = cloud(count, 12);
      const EmpiricalDenoiser denoiser(data);
      for (const double sigma : {0.05, 0.4, 10.0}) {
        const Tensor x = noisy(data, rows, sigma);
        EXPECT_LT(relative_error(denoiser.denoise(x, sigma), brute_force(data, x, sigma)), 1e-5) << count << ", " << rows << ", " << sigma;
      }
    }
  const Tensor data = cloud(600, 12), x = noisy(data, 520, 0.3);  // more rows than are taken at once
  EXPECT_LT(relative_error(EmpiricalDenoiser(data).denoise(x, 0.3), brute_force(data, x, 0.3)), 1e-5);
}

TEST(EmpiricalDenoiser, GivesASinglePointAndCopiesOfItBackExactly) {
  const Tensor point = cloud(1, 30);
  for (const std::int64_t copies : {1, 700}) {
    const Tensor data = point.expand({copies, 30}).contiguous();
    for (const double sigma : kSigmas)
      EXPECT_LT(relative_error(EmpiricalDenoiser(data).denoise(noisy(data, 3, sigma), sigma), point.to(torch::kFloat64).expand({3, 30})),
                1e-6);
  }
}

TEST(EmpiricalDenoiser, SharesTheWeightAmongEqualPoints) {
  // Half of the points here and half there, and x in the middle: a copy must count like any other point.
  Tensor data = torch::zeros({900, 20}, torch::kFloat32);
  data.narrow(0, 0, 300).fill_(1);
  const Tensor x = torch::full({1, 20}, 0.5, torch::kFloat64);
  for (const double sigma : kSigmas)
    EXPECT_LT(relative_error(EmpiricalDenoiser(data).denoise(x, sigma), torch::full({1, 20}, 1.0 / 3, torch::kFloat64)), 1e-5) << sigma;
}

TEST(EmpiricalDenoiser, TakesOneSigmaARow) {
  const Tensor data = cloud(2000, 40), sigma = torch::tensor({0.05, 30.0, 0.3, 2.0, 0.1}, torch::kFloat64), x = noisy(data, 5, 0.1);
  EXPECT_LT(relative_error(EmpiricalDenoiser(data).denoise(x, sigma), brute_force(data, x, sigma)), 1e-5);
}

TEST(EmpiricalDenoiser, StaysExactAtTheSmallestAndLargestLevels) {
  const Tensor data = clusters(500, 24, 1e-3);
  for (const double sigma : {1e-30, 1e-6, 1e-4, 1e-3, 1e4, 1e9}) {
    const Tensor x = noisy(data, 4, std::min(sigma, 1.0)).to(torch::kFloat32), denoised = EmpiricalDenoiser(data).denoise(x, sigma);
    // The brute force itself needs a sigma whose square is not nothing.
    EXPECT_LT(relative_error(denoised, brute_force(data, x, std::max(sigma, 1e-9))), 1e-4) << sigma;
  }
}

TEST(EmpiricalDenoiser, LeavesOutOnlyPointsThatHaveNoWeight) {
  const Tensor data = cloud(6000, 128);
  const EmpiricalDenoiser whole(data, {.rank = 0}), some(data), careless(data, {.eps = 0.5});
  const double sigma = 0.08;
  const Tensor x = noisy(data, 41, sigma).narrow(0, 0, 40);
  const Tensor share = some.share_evaluated(x, sigma);
  EXPECT_LT(share.max().item<double>(), 0.05);
  EXPECT_GT(share.min().item<double>(), 0.9 / 6000);                                        // the nearest point is never left out
  EXPECT_LT((careless.share_evaluated(x, sigma).mean() - share.mean()).item<double>(), 0);  // a larger eps leaves out more
  EXPECT_LT(relative_error(some.denoise(x, sigma), whole.denoise(x, sigma).to(torch::kFloat64)), 3e-6);
  EXPECT_TRUE((some.share_evaluated(x, 50) == 1).all().item<bool>());  // nothing can be left out, so nothing is tried
}

TEST(EmpiricalDenoiser, BoundsAreWorthMostWhereItMatters) {
  // With eps of the weight left out, D is wrong by at most eps times the data's diameter. A point at the very edge of what is left out:
  const double sigma = 0.3, eps = 0.01, gap = sigma * std::sqrt(2 * std::log(2 / eps));
  Tensor data = torch::zeros({2, 8}, torch::kFloat32);
  for (const double factor : {0.98, 1.02}) {
    data[1][0] = factor * gap;
    const Tensor x = torch::zeros({1, 8}, torch::kFloat64);
    const double seen = EmpiricalDenoiser(data, {.eps = eps}).denoise(x, sigma)[0][0].item<double>();
    const double expected = brute_force(data, x, sigma)[0][0].item<double>();
    EXPECT_LT(std::abs(seen - expected), eps * factor * gap);
  }
}

TEST(EmpiricalDenoiser, DoesNotDependOnTheNumberOfThreads) {
  const Tensor data = cloud(5000, 64);
  const Tensor x = noisy(data, 50, 0.1);
  for (const double sigma : {0.1, 1.0, 20.0}) {
    const auto with = [&](int n) {
      const WithThreads scope(n);
      return EmpiricalDenoiser(data).denoise(x, sigma);
    };
    const Tensor one = with(1);
    EXPECT_TRUE(torch::equal(one, with(2))) << sigma;
    EXPECT_TRUE(torch::equal(one, with(3))) << sigma;
  }
}

TEST(EmpiricalDenoiser, GivesEachRowTheSameBitsInEveryMicroBatch) {
  const Tensor data = cloud(3000, 64), x = noisy(data, 40, 0.3);
  // Neighbours at other levels go other ways through the data, which must not matter to a row.
  const Tensor levels = torch::tensor({0.05, 0.3, 1.0, 20.0}, torch::kFloat64).repeat(10);
  const EmpiricalDenoiser inner(data);
  const MicroBatched batched(inner);
  const Tensor all = batched.denoise(x, levels);
  EXPECT_LT(relative_error(all, brute_force(data, x, levels)), 1e-5);
  for (const std::int64_t rows : {1, 7, 16, 17})
    for (std::int64_t begin = 0; begin + rows <= 40; begin += 5)
      EXPECT_TRUE(torch::equal(batched.denoise(x.narrow(0, begin, rows), levels.narrow(0, begin, rows)), all.narrow(0, begin, rows)))
          << rows << " rows from " << begin;
}

TEST(EmpiricalDenoiser, ReadsAMappedFileAsIfItWereInMemory) {
  const TempDir folder;
  const Tensor data = cloud(1500, 40);
  const std::string path = folder / "data.npy";
  write_npy(path, {1500, 40}, std::span<const float>(data.data_ptr<float>(), static_cast<std::size_t>(data.numel())));
  auto file = MappedNpy::open(path);
  ASSERT_TRUE(file);
  const Tensor mapped = torch::from_blob(
      const_cast<float*>(file->values().data()), {1500, 40}, [file](void*) {}, torch::kFloat32);
  file.reset();  // the tensor keeps the mapping
  const Tensor x = noisy(data, 20, 0.2);
  for (const double sigma : {0.1, 5.0})
    EXPECT_TRUE(torch::equal(EmpiricalDenoiser(mapped).denoise(x, sigma), EmpiricalDenoiser(data).denoise(x, sigma)));
}

TEST(EmpiricalDenoiser, KeepsTheDtypeOfItsPoints) {
  const Tensor data = cloud(100, 10), x = noisy(data, 3, 0.5);
  EXPECT_EQ(EmpiricalDenoiser(data).denoise(x, 0.5).scalar_type(), torch::kFloat64);
  EXPECT_EQ(EmpiricalDenoiser(data).denoise(x.to(torch::kFloat32), 0.5).scalar_type(), torch::kFloat32);
}

TEST(EmpiricalScore, IsTheGradientOfTheLogDensity) {
  const Tensor data = clusters(400, 12, 0.3);
  const EmpiricalDenoiser denoiser(data);
  for (const double level : {0.2, 1.0, 6.0}) {
    const Tensor x = noisy(data, 5, level), sigma = torch::full({1}, level, torch::kFloat64);
    const double step = 1e-4 * level;
    Tensor gradient = torch::empty_like(x);
    for (std::int64_t k = 0; k < x.size(1); ++k) {
      Tensor shift = torch::zeros({x.size(1)}, torch::kFloat64);
      shift[k] = step;
      const Tensor up = brute_exponents(data, x + shift, sigma).logsumexp(1), down = brute_exponents(data, x - shift, sigma).logsumexp(1);
      gradient.select(1, k).copy_((up - down) / (2 * step));
    }
    EXPECT_LT(relative_error(score(denoiser, x, sigma), gradient), 2e-5) << level;
  }
}

TEST(EmpiricalLogDensity, EqualsTheFormula) {
  const Tensor data = clusters(1000, 40, 0.1);
  const EmpiricalDenoiser denoiser(data);
  const Tensor x = noisy(data, 6, 0.3), sigma = torch::tensor({0.05, 0.2, 0.5, 1.0, 10.0, 80.0}, torch::kFloat64);
  const Tensor expected = brute_exponents(data, x, sigma).logsumexp(1) - std::log(1000.0) - 20 * (2 * M_PI * sigma.square()).log();
  const Tensor actual = empirical_log_density(denoiser, x, sigma);
  EXPECT_EQ(actual.sizes(), expected.sizes());
  EXPECT_LT(((actual - expected).abs() / expected.abs()).max().item<double>(), 1e-5);
}

TEST(EmpiricalLogDensity, RefusesWhatIsNoLevel) {
  const EmpiricalDenoiser denoiser(cloud(10, 4));
  const Tensor x = torch::zeros({2, 4}, torch::kFloat64);
  const auto refusal = [&](const Tensor& points, const Tensor& sigma) {
    return message_of<InvalidArgument>([&] { empirical_log_density(denoiser, points, sigma); });
  };
  EXPECT_EQ(refusal(x, torch::zeros({})), "[empirical_log_density] expected finite sigma > 0");
  EXPECT_EQ(refusal(x, torch::ones({3})), "[empirical_log_density] expected sigma to be a scalar or of shape [2], got [3]");
  EXPECT_EQ(refusal(torch::zeros({2, 5}), torch::ones({})), "[empirical_log_density] expected x of shape [B, 4], got [2, 5]");
}

TEST(EmpiricalDenoiser, RefusesDataThatAreNoneAndSaysWhy) {
  const auto refusal = [](const Tensor& data, const EmpiricalOptions& options = {}) {
    return message_of<InvalidArgument>([&] { EmpiricalDenoiser(data, options); });
  };
  EXPECT_EQ(refusal(torch::zeros({3, 4}, torch::kFloat64)),
            "[EmpiricalDenoiser] expected data of shape [N, D], float32, got [3, 4] Double");
  EXPECT_THAT(refusal(torch::zeros({0, 4})), HasSubstr("got [0, 4] Float"));
  EXPECT_THAT(refusal(torch::zeros({2, 3, 4})), HasSubstr("got [2, 3, 4]"));
  EXPECT_THAT(refusal({}), HasSubstr("undefined"));
  EXPECT_EQ(refusal(cloud(5, 4), {.eps = 0}), "[EmpiricalDenoiser] expected eps in (0, 1), got 0");
  EXPECT_EQ(refusal(cloud(5, 4), {.rank = -1}), "[EmpiricalDenoiser] expected a rank >= 0, got -1");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const std::int64_t where : {0, 39999}) {  // 20,000 points: the last one is not in the sample
      Tensor data = cloud(20000, 2);
      data.view({-1})[where] = bad;
      EXPECT_THAT(message_of<NumericalError>([&] { EmpiricalDenoiser denoiser(data); }), HasSubstr("expected finite data"));
    }
  Tensor x = torch::zeros({2, 4}, torch::kFloat64);
  x[1][2] = std::nan("");
  EXPECT_THAT(message_of<NumericalError>([&] { EmpiricalDenoiser(cloud(5, 4)).denoise(x, 1.0); }), HasSubstr("expected finite x"));
}

}  // namespace
}  // namespace headstart
