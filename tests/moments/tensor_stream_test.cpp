#include "headstart/moments/tensor_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "../support/gaussians.h"
#include "headstart/error.h"
#include "headstart/moments/moments.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

TEST(TensorStream, ReadsRowsOfAnyFloatTensorInPieces) {
  const Tensor all = random_normal({10, 6}, 1), view = all.slice(0, 0, 10, 2);
  TensorStream stream(view, {0, 1, 0, 1, 2}, {1, 2, 3});
  EXPECT_EQ(stream.count(), 5);
  EXPECT_EQ(stream.labels().size(), 5U);
  EXPECT_EQ(stream.shape(), (ImageShape{1, 2, 3}));
  for (int pass = 0; pass < 2; ++pass) {
    const Tensor got = torch::empty({5, 6}, torch::kFloat32);
    float* out = got.data_ptr<float>();
    EXPECT_EQ(stream.read({out, 18}), 3);
    EXPECT_EQ(stream.read({out + 18, 18}), 2);
    EXPECT_EQ(stream.read({out, 18}), 0);
    EXPECT_TRUE(torch::equal(got, view.to(torch::kFloat32)));
    stream.rewind();
  }
}

TEST(TensorStream, IsFittedLikeAnyStream) {
  const Tensor x = random_normal({50, 4}, 2).to(torch::kFloat32);
  TensorStream stream(x);
  const GaussianStats stats = fit_gaussian(stream);
  EXPECT_LT(largest_difference(stats.mean, x.mean(0, false, torch::kFloat64)), 1e-12);
}

TEST(TensorStream, SaysWhatItExpected) {
  const auto refusal = [](const Tensor& x, std::vector<std::int64_t> labels = {}, const ImageShape& shape = {}) -> std::string {
    try {
      TensorStream stream(x, std::move(labels), shape);
    } catch (const InvalidArgument& e) {
      return e.what();
    }
    return "";
  };
  const Tensor x = torch::zeros({3, 4});
  EXPECT_THAT(refusal({}), HasSubstr("got undefined"));
  EXPECT_THAT(refusal(torch::zeros({3})), HasSubstr("points [N, D] on the CPU, got Float [3]"));
  EXPECT_THAT(refusal(torch::zeros({3, 4}, torch::kInt64)), HasSubstr("got Long [3, 4]"));
  EXPECT_THAT(refusal(x, {1, 2}), HasSubstr("expected 3 labels or none, got 2"));
  EXPECT_THAT(refusal(x, {}, {1, 2, 3}), HasSubstr("expected images of 6 values, got points of 4"));
}

}  // namespace
}  // namespace headstart
