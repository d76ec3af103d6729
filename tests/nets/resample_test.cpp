#include "headstart/nets/resample.h"

#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

const std::vector<double> kSmooth{1, 3, 3, 1};

/// The definition, pixel by pixel: y[i, j] = sum_ab f_a f_b x[2i + a - p, 2j + b - p] with zeros outside, sum f = 1.
Tensor down_by_definition(const Tensor& x, const std::vector<double>& filter) {
  const auto taps = static_cast<std::int64_t>(filter.size()), padding = (taps - 1) / 2;
  double sum = 0;
  for (const double f : filter) sum += f;
  Tensor y = torch::zeros({x.size(0), x.size(1), x.size(2) / 2, x.size(3) / 2}, torch::kFloat64);
  for (std::int64_t i = 0; i < y.size(2); ++i)
    for (std::int64_t j = 0; j < y.size(3); ++j)
      for (std::int64_t a = 0; a < taps; ++a)
        for (std::int64_t b = 0; b < taps; ++b) {
          const std::int64_t row = 2 * i + a - padding, column = 2 * j + b - padding;
          if (row < 0 || column < 0 || row >= x.size(2) || column >= x.size(3)) continue;
          y.select(2, i).select(2, j) += filter[a] * filter[b] / (sum * sum) * x.select(2, row).select(2, column).to(torch::kFloat64);
        }
  return y;
}

TEST(Resample, HalvesAsItsDefinitionSays) {
  torch::manual_seed(0);
  const Tensor x = torch::randn({2, 3, 6, 8});
  for (const auto& filter : {std::vector<double>{1, 1}, kSmooth})
    EXPECT_LT(max_abs(resample(x, Resample::down, filter).to(torch::kFloat64) - down_by_definition(x, filter)), 1e-6);
}

// Doubling is four times the transpose of halving: <down(x), y> = <x, up(y)> / 4.
TEST(Resample, DoublesAsTheTransposeOfHalving) {
  torch::manual_seed(0);
  const Tensor x = torch::randn({2, 3, 6, 8}), y = torch::randn({2, 3, 3, 4});
  for (const auto& filter : {std::vector<double>{1, 1}, kSmooth}) {
    const double down = (resample(x, Resample::down, filter) * y).sum().item<double>();
    const double up = (x * resample(y, Resample::up, filter)).sum().item<double>();
    EXPECT_NEAR(down, up / 4, 1e-5);
  }
}

TEST(Resample, KeepsAConstantAwayFromTheBorder) {
  const Tensor ones = torch::ones({1, 2, 8, 8});
  EXPECT_LT(max_abs(resample(ones, Resample::down, kSmooth).slice(2, 1, -1).slice(3, 1, -1) - 1), 1e-6);
  EXPECT_LT(max_abs(resample(ones, Resample::up, kSmooth).slice(2, 1, -1).slice(3, 1, -1) - 1), 1e-6);
  EXPECT_EQ(max_abs(resample(ones, Resample::up, {1, 1}) - 1), 0);
}

TEST(Conv, FusedHalvingIsConvolutionThenFilter) {
  torch::manual_seed(0);
  Conv conv(ConvOptions{.in = 2, .out = 5, .mode = Resample::down, .filter = kSmooth, .fused = true});
  const torch::NoGradGuard no_grad;
  conv->bias.uniform_();
  const Tensor x = torch::randn({2, 2, 8, 6});
  // One more ring of pixels for the filter, which itself pads nothing.
  const Tensor wide = torch::conv2d(x, conv->weight, conv->bias, 1, 2);
  const Tensor y = conv->forward(x);
  EXPECT_EQ(y.sizes().vec(), (std::vector<std::int64_t>{2, 5, 4, 3}));
  Tensor direct = torch::zeros_like(y);
  const std::vector<double> f{0.125, 0.375, 0.375, 0.125};
  for (std::int64_t a = 0; a < 4; ++a)
    for (std::int64_t b = 0; b < 4; ++b) direct += f[a] * f[b] * wide.slice(2, a, a + 8, 2).slice(3, b, b + 6, 2);
  EXPECT_LT(max_abs(y - direct), 1e-5);
}

TEST(Conv, StartsXavierUniformWithZeroBias) {
  torch::manual_seed(0);
  Conv conv(ConvOptions{.in = 16, .out = 32, .init_scale = 0.5});
  const double bound = 0.5 * std::sqrt(6.0 / (9 * 48));
  EXPECT_LE(max_abs(conv->weight), bound);
  EXPECT_GT(max_abs(conv->weight), 0.98 * bound);
  EXPECT_EQ(max_abs(conv->bias), 0);
}

TEST(Conv, RefusesFusedWhereNothingIsHalved) {
  expect_error<InvalidArgument>({"[Conv] expected fused only where the resolution is halved"},
                                [] { Conv conv(ConvOptions{.fused = true}); });
}

}  // namespace
}  // namespace headstart
