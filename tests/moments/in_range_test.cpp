#include "headstart/moments/in_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using torch::Tensor;

TEST(InRange, IsTheGaussianOfTheMappedData) {
  GaussianStats s = random_gaussian(6, {.rank = 3});
  s.data_sha256 = "abc";
  const GaussianStats half = in_range(s, 0, 1);  // from [-1, 1]: y = (x + 1) / 2
  EXPECT_LT(largest_difference(half.mean, (s.mean + 1) / 2), 1e-15);
  EXPECT_LT(largest_difference(dense_covariance(half), dense_covariance(s) / 4), 1e-15);
  EXPECT_EQ(half.range_low, 0);
  EXPECT_EQ(half.range_high, 1);
  EXPECT_EQ(half.data_sha256, "abc");
  const GaussianStats back = in_range(half, -1, 1);
  EXPECT_LT(largest_difference(back.mean, s.mean), 1e-15);
  EXPECT_LT(largest_difference(dense_covariance(back), dense_covariance(s)), 1e-15);
}

TEST(InRange, MapsEachComponentOfAMixtureAsItMapsAGaussian) {
  const MixtureStats m = random_mixture(5, 3, {.rank = 2});
  const MixtureStats bytes = in_range(m, 0, 255);
  for (std::int64_t k = 0; k < 3; ++k) {
    const GaussianStats expected = in_range(m.component(k), 0, 255), found = bytes.component(k);
    EXPECT_TRUE(torch::equal(found.mean, expected.mean) && torch::equal(found.eigenvalues, expected.eigenvalues));
    EXPECT_EQ(found.tail, expected.tail);
    EXPECT_EQ(found.range_high, 255);
  }
  EXPECT_TRUE(torch::equal(bytes.weights, m.weights) && torch::equal(bytes.basis, m.basis));
}

TEST(InRange, LeavesTheBitsOfWhatIsThereAlready) {
  const GaussianStats s = random_gaussian(4), same = in_range(s, -1, 1);
  EXPECT_TRUE(torch::equal(same.mean, s.mean) && torch::equal(same.eigenvalues, s.eigenvalues));
  EXPECT_EQ(message_of<InvalidArgument>([&] { in_range(s, 1, 1); }), "[in_range] expected low < high, got 1 and 1");
}

TEST(IsPictureRange, TellsConventionsFromMeasuredEnds) {
  EXPECT_TRUE(is_picture_range(-1, 1) && is_picture_range(0, 1) && is_picture_range(-0.5, 0.5));
  EXPECT_FALSE(is_picture_range(0, 255) || is_picture_range(-1, 0.99) || is_picture_range(-2.1734, 3));
}

}  // namespace
}  // namespace headstart
