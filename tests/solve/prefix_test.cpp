#include "headstart/solve/prefix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/solve/one_step.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

TEST(IntegratedPrefix, OfOneComponentIsTheGaussiansFlow) {
  const GaussianStats s = random_gaussian(8, {.rank = 4});
  const MixtureDenoiser mixture(mixture_of(s));
  const Tensor x = 80 * random_normal({20, 8}, 3);
  for (const double to : {20.0, 2.0, 0.1}) {
    const Tensor exact = gaussian_flow(s, x, {.from = 80, .to = to});
    EXPECT_LT(largest_difference(integrated_prefix(mixture, x, {.from = 80, .to = to}), exact), 1e-3) << to;
    EXPECT_LT(largest_difference(integrated_prefix(mixture, x, {.from = 80, .to = to}, {.tolerance = 1e-9}), exact), 1e-6) << to;
  }
}

TEST(IntegratedPrefix, OfAMixtureIsWhatManySmallStepsGiveAndNotTheGaussiansFlow) {
  const MixtureStats m = random_mixture(6, 3, {.rank = 3}, 4);
  const MixtureDenoiser mixture(m);
  const Tensor x = 80 * random_normal({17, 6}, 4);
  const auto fine = karras_sigmas({.steps = 1000, .sigma_min = 0.5, .sigma_max = 80, .final_zero = false});
  const Tensor carried = integrated_prefix(mixture, x, {.from = 80, .to = 0.5});
  EXPECT_LT(largest_difference(carried, sample_heun(mixture, x, fine)), 1e-3);
  EXPECT_GT(largest_difference(carried, gaussian_flow(m.component(0), x, {.from = 80, .to = 0.5})), 0.1);
}

TEST(IntegratedPrefix, CarriesARowTheSameWayInAnyBatch) {
  const MixtureDenoiser mixture(random_mixture(6, 3, {.rank = 3}, 4));
  const Tensor x = 80 * random_normal({37, 6}, 5), all = integrated_prefix(mixture, x, {.from = 80, .to = 1});
  for (const std::int64_t row : {0, 15, 36})
    EXPECT_TRUE(torch::equal(integrated_prefix(mixture, x.narrow(0, row, 1), {.from = 80, .to = 1}), all.narrow(0, row, 1))) << row;
}

TEST(IntegratedPrefix, MayBeStoppedAndRefusesLevels) {
  const GaussianDenoiser gaussian(random_gaussian(4));
  const Tensor x = torch::zeros({1, 4}, torch::kFloat64);
  EXPECT_THROW(integrated_prefix(gaussian, x, {.from = 2, .to = 1}, {.on_step = [] { throw std::runtime_error("stop"); }}),
               std::runtime_error);
  EXPECT_THAT(message_of<InvalidArgument>([&] { integrated_prefix(gaussian, x, {.from = 1, .to = 1}); }), HasSubstr("0 < to < from"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { integrated_prefix(gaussian, x, {.from = 1, .to = 0}); }), HasSubstr("0 < to < from"));
}

}  // namespace
}  // namespace headstart
