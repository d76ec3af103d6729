#include "headstart/metrics/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "../support/gaussians.h"
#include "../support/temp_dir.h"
#include "headstart/data/npz.h"
#include "headstart/error.h"

namespace headstart {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using torch::Tensor;

class Named : public FeatureSpace {
 public:
  Named(std::string name, std::string sha256) : name_(std::move(name)), sha256_(std::move(sha256)) {}
  std::string name() const override { return name_; }
  std::string sha256() const override { return sha256_; }
  Tensor extract(const Tensor& images) const override { return images; }

 private:
  std::string name_, sha256_;
};

ArrayView view(const Tensor& t) { return view_of<double>(t.sizes().vec(), {t.data_ptr<double>(), static_cast<std::size_t>(t.numel())}); }

class Reference : public testing::Test {
 protected:
  void write(const std::vector<NamedArray>& more) const {
    std::vector<NamedArray> arrays{{"mu", view(mean_)}, {"sigma", view(covariance_)}};
    arrays.insert(arrays.end(), more.begin(), more.end());
    write_npz(path_, arrays);
  }
  /// What is said of a file with this `sigma`.
  std::string refusal(const Tensor& covariance) {
    covariance_ = covariance.contiguous();
    write({});
    return message_of<DataError>([&] { read_reference(path_); });
  }

  TempDir folder_;
  std::string path_ = folder_ / "ref.npz";
  Tensor mean_ = random_normal({4}, 1), covariance_ = random_covariance(4, 2).contiguous();
};

TEST_F(Reference, ComesBackFromItsFile) {
  write_reference(path_,
                  {.moments = {mean_, covariance_, 60000}, .features = "net", .features_sha256 = "abc", .shape = ImageShape{1, 28, 28}});
  EXPECT_TRUE(is_reference(path_));
  const FeatureReference read = read_reference(path_);
  EXPECT_TRUE(torch::equal(read.moments.mean, mean_));
  EXPECT_TRUE(torch::equal(read.moments.covariance, covariance_));
  EXPECT_EQ(read.moments.count, 60000);
  EXPECT_EQ(read.features, "net");
  EXPECT_EQ(read.features_sha256, "abc");
  EXPECT_EQ(read.shape, (ImageShape{1, 28, 28}));
  write_reference(path_, {.moments = {mean_, covariance_, 0}});
  EXPECT_EQ(npz_names(path_), (std::vector<std::string>{"mu", "sigma"}));
}

TEST_F(Reference, OfEdmHasMomentsOnlyAndFitsEverySpace) {
  const float values[] = {1, 0.5, 0.5, 2}, mean[] = {3, 4};
  write_npz(path_, std::vector<NamedArray>{{"mu", view_of<float>({2}, mean)}, {"sigma", view_of<float>({2, 2}, values)}});
  const FeatureReference read = read_reference(path_);
  EXPECT_TRUE(torch::equal(read.moments.covariance, torch::tensor({{1.0, 0.5}, {0.5, 2.0}}, torch::kFloat64)));
  EXPECT_EQ(read.moments.count, 0);
  EXPECT_EQ(read.features + read.features_sha256, "");
  EXPECT_FALSE(read.shape.has_value());
  require_same_space(path_, read, Named("pixels", ""), {3, 4, 4});
}

TEST_F(Reference, IsToldFromOtherFiles) {
  EXPECT_FALSE(is_reference("fashion-mnist"));
  EXPECT_FALSE(is_reference(folder_.path().string()));
  std::ofstream(path_) << "P";
  EXPECT_FALSE(is_reference(path_));
  write_npz(path_, std::vector<NamedArray>{{"mu", view(mean_)}, {"samples", view(covariance_)}});
  EXPECT_FALSE(is_reference(path_));
}

TEST_F(Reference, OfAnotherSpaceIsRefused) {
  const auto check = [&](const std::string& name, const std::string& sha256, const FeatureSpace& space,
                         const ImageShape& shape = {1, 8, 8}) {
    const FeatureReference reference{.moments = {}, .features = name, .features_sha256 = sha256, .shape = ImageShape{1, 8, 8}};
    return message_of<InvalidArgument>([&] { require_same_space(path_, reference, space, shape); });
  };
  const std::string hash(64, 'a'), other(64, 'b');
  EXPECT_EQ(check("pixels", "", Named("pixels", "")), "nothing was thrown");
  EXPECT_EQ(check("net", hash, Named("renamed", hash)), "nothing was thrown");
  EXPECT_THAT(check("net", other, Named("net", hash)),
              AllOf(HasSubstr(path_), HasSubstr("net (sha256 aaaaaaaa...), got net (sha256 bbbbbbbb...)")));
  EXPECT_THAT(check("pixels", "", Named("net", hash)), HasSubstr("got pixels"));
  EXPECT_THAT(check("net", hash, Named("pixels", "")), HasSubstr("in features pixels, got net"));
  EXPECT_THAT(check("pixels", "", Named("pixels", ""), {3, 8, 8}), HasSubstr("of shape 3,8,8, got 1,8,8"));
}

TEST_F(Reference, RefusesWhatIsNoMoments) {
  EXPECT_THAT(refusal(torch::eye(5, torch::kFloat64)), AllOf(HasSubstr(path_), HasSubstr("mu of shape [F] and sigma of shape [F, F]")));
  EXPECT_THAT(refusal(torch::ones({16}, torch::kFloat64)), HasSubstr("sigma of shape [F, F]"));
  Tensor skew = torch::eye(4, torch::kFloat64);
  skew[0][3] = 0.1;
  EXPECT_THAT(refusal(skew), HasSubstr("symmetric"));
  EXPECT_THAT(refusal(torch::diag(torch::tensor({1.0, 2.0, 3.0, -0.5}, torch::kFloat64))), HasSubstr("eigenvalues from -0.5 to 3"));
  EXPECT_THAT(refusal(torch::eye(4, torch::kFloat64) / 0), HasSubstr("finite"));
}

TEST_F(Reference, RefusesKeysThatMakeNoSense) {
  const std::int64_t zero = 0, sizes[] = {1, 28};
  const auto refused = [&](const NamedArray& array) {
    write({array});
    return message_of<DataError>([&] { read_reference(path_); });
  };
  EXPECT_THAT(refused({"num", view_of<std::int64_t>({}, std::span(&zero, 1))}), HasSubstr("positive numbers in num"));
  EXPECT_THAT(refused({"shape", view_of<std::int64_t>({2}, sizes)}), HasSubstr("expected 3 positive numbers in shape"));
  EXPECT_THAT(refused({"features", view_of<std::int64_t>({2}, sizes)}), HasSubstr("features to be text as uint8, got I64"));
  EXPECT_THAT(message_of<DataError>([&] { read_reference(folder_ / "none.npz"); }), HasSubstr("none.npz"));
  EXPECT_THAT(message_of<DataError>([&] {
                write_reference(folder_ / "no/ref.npz", {.moments = {mean_, covariance_, 2}});
              }),
              HasSubstr("no/ref.npz"));
}

}  // namespace
}  // namespace headstart
