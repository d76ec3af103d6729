#include "headstart/denoise/switched.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/gaussians.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

TEST(Switched, AsksEachDenoiserForTheRowsOfItsLevelsOnly) {
  const GaussianDenoiser gaussian(random_gaussian(5));
  const IsotropicDenoiser isotropic(torch::zeros({5}, torch::kFloat64), 4);
  const Counted above(gaussian), below(isotropic);
  const Switched switched(above, below, 2);
  const Tensor x = random_normal({4, 5}, 3);
  EXPECT_TRUE(torch::equal(switched.denoise(x, 2.5), gaussian.denoise(x, 2.5)));
  EXPECT_EQ(below.nfe(), 0);
  EXPECT_TRUE(torch::equal(switched.denoise(x, 2.0), isotropic.denoise(x, 2.0)));
  EXPECT_EQ(above.nfe(), 1);

  const Tensor sigma = torch::tensor({5.0, 1.0, 2.0, 3.0}, torch::kFloat64), mixed = switched.denoise(x, sigma);
  for (const std::int64_t row : {0, 1, 2, 3}) {
    const Denoiser& theirs = sigma[row].item<double>() > 2 ? static_cast<const Denoiser&>(gaussian) : isotropic;
    EXPECT_LT(largest_difference(mixed[row], theirs.denoise(x, sigma)[row]), 1e-15) << row;
  }
}

TEST(Switched, RefusesDenoisersOfDifferentDimensions) {
  const IsotropicDenoiser five(torch::zeros({5}, torch::kFloat64), 1), six(torch::zeros({6}, torch::kFloat64), 1);
  EXPECT_THAT(message_of<InvalidArgument>([&] { Switched(five, six, 1); }), HasSubstr("of one dimension, got 5 and 6"));
}

}  // namespace
}  // namespace headstart
