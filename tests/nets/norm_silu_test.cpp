#include "headstart/nets/norm_silu.h"

#include <array>

#include "nets_test.h"

namespace headstart {
namespace {

using torch::Tensor;

struct Case {
  std::int64_t batch, channels, height, width, groups;
  bool scaled;
  bool channels_last;
  double mean = 0;    // of the input
  double spread = 1;  // of weight, bias, scale and shift
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << "[" << c.batch << ", " << c.channels << ", " << c.height << ", " << c.width << "], " << c.groups << " groups"
       << (c.scaled ? ", scaled" : "") << (c.channels_last ? ", channels last" : "") << ", mean " << c.mean << ", spread " << c.spread;
}

/// Inputs x, weight, bias[, scale, shift], and the gradient from above.
struct Inputs {
  std::vector<Tensor> leaves;
  Tensor grad_y;
};

Inputs inputs_of(const Case& c) {
  torch::manual_seed(0);
  const auto row = [&] { return torch::randn({c.batch, c.channels}) * c.spread; };
  Inputs in{.leaves = {torch::randn({c.batch, c.channels, c.height, c.width}) + c.mean, torch::randn({c.channels}) * c.spread,
                       torch::randn({c.channels}) * c.spread},
            .grad_y = torch::randn({c.batch, c.channels, c.height, c.width})};
  if (c.channels_last) in.leaves[0] = in.leaves[0].contiguous(at::MemoryFormat::ChannelsLast);
  if (c.scaled) {
    in.leaves.push_back(row());
    in.leaves.push_back(row());
  }
  return in;
}

using Function = decltype(&norm_silu);

/// The output followed by the gradient of every input, all float64.
std::vector<Tensor> outputs(Function function, const Inputs& in, std::int64_t groups, torch::ScalarType type) {
  std::vector<Tensor> leaves;
  for (const auto& leaf : in.leaves) leaves.push_back(leaf.to(type).detach().clone().requires_grad_());
  const bool scaled = leaves.size() == 5;
  const Tensor y = function(leaves[0], {groups, leaves[1], leaves[2]}, scaled ? leaves[3] : Tensor(), scaled ? leaves[4] : Tensor());
  std::vector<Tensor> all = torch::autograd::grad({y}, leaves, {in.grad_y.to(type)});
  all.insert(all.begin(), y.detach());
  for (auto& t : all) t = t.to(torch::kFloat64);
  return all;
}

class NormSiluCases : public testing::TestWithParam<Case> {};

// The float64 formula is the truth. The kernel may be as far from it as float32 has to be, and little further than libtorch's own float32.
TEST_P(NormSiluCases, IsAsNearTheFloat64FormulaAsThePlainVersion) {
  const Case c = GetParam();
  const Inputs in = inputs_of(c);
  const auto truth = outputs(norm_silu_plain, in, c.groups, torch::kFloat64);
  const auto plain = outputs(norm_silu_plain, in, c.groups, torch::kFloat32);
  const auto fused = outputs(norm_silu, in, c.groups, torch::kFloat32);
  ASSERT_EQ(fused.size(), truth.size());
  const std::array names{"y", "grad x", "grad weight", "grad bias", "grad scale", "grad shift"};
  for (std::size_t i = 0; i < truth.size(); ++i) {
    ASSERT_EQ(fused[i].sizes(), truth[i].sizes()) << names[i];
    const double size = max_abs(truth[i]), own = max_abs(fused[i] - truth[i]) / size, theirs = max_abs(plain[i] - truth[i]) / size;
    EXPECT_LE(own, std::max(2e-6, 4 * theirs)) << names[i] << ": the plain version's error is " << theirs;
    RecordProperty(names[i], std::to_string(own) + " against " + std::to_string(theirs));
  }
}

INSTANTIATE_TEST_SUITE_P(NormSilu, NormSiluCases,
                         testing::Values(Case{2, 8, 6, 6, 4, false, false}, Case{2, 8, 6, 6, 4, true, false},
                                         Case{2, 8, 6, 6, 4, true, true}, Case{16, 64, 14, 14, 8, true, true},
                                         Case{16, 64, 14, 14, 8, false, false},
                                         Case{3, 5, 7, 3, 5, true, true},  // a group each channel, odd sizes
                                         Case{3, 5, 7, 3, 5, false, false}, Case{3, 15, 5, 9, 3, true, false},
                                         Case{2, 12, 4, 4, 1, true, true},    // one group
                                         Case{1, 33, 1, 17, 11, true, true},  // one image, one row
                                         Case{4, 24, 1, 1, 4, true, true},    // one pixel
                                         Case{2, 1, 9, 9, 1, true, false},    // one channel: both memory formats at once
                                         Case{2, 32, 28, 28, 8, true, true, 1e3}, Case{2, 32, 28, 28, 8, false, false, 1e3},
                                         Case{2, 8, 6, 6, 4, true, true, -1e3}, Case{2, 16, 7, 7, 4, true, true, 0, 8}));

// The kernel computes in float32 and rounds its results once: what it is given and returns has 8 bits, what is between has 24.
TEST(NormSilu, RoundsOnceInBfloat16) {
  for (const Case& c : {Case{3, 24, 6, 6, 6, true, true}, Case{2, 48, 14, 14, 12, false, true}}) {
    Inputs in = inputs_of(c);
    in.leaves[0] = in.leaves[0].to(torch::kBFloat16).to(torch::kFloat32);
    in.grad_y = in.grad_y.to(torch::kBFloat16).to(torch::kFloat32);
    const auto truth = outputs(norm_silu_plain, in, c.groups, torch::kFloat64);
    std::vector<Tensor> leaves;
    for (const auto& leaf : in.leaves) leaves.push_back(leaf.detach().clone());
    leaves[0] = leaves[0].to(torch::kBFloat16);
    for (auto& leaf : leaves) leaf.requires_grad_();
    const Tensor y = c.scaled ? norm_silu(leaves[0], {c.groups, leaves[1], leaves[2]}, leaves[3], leaves[4])
                              : norm_silu(leaves[0], {c.groups, leaves[1], leaves[2]});
    ASSERT_EQ(y.scalar_type(), torch::kBFloat16);
    auto own = torch::autograd::grad({y}, leaves, {in.grad_y.to(torch::kBFloat16)});
    own.insert(own.begin(), y.detach());
    for (std::size_t i = 0; i < own.size(); ++i) {
      EXPECT_EQ(own[i].scalar_type(), i < 2 ? torch::kBFloat16 : torch::kFloat32) << i;
      const Tensor error = (own[i].to(torch::kFloat64) - truth[i]).abs();
      const Tensor bound = i < 2 ? truth[i].abs() / 256 + 1e-5 * max_abs(truth[i]) : torch::full_like(error, 1e-5 * max_abs(truth[i]));
      EXPECT_TRUE((error <= bound).all().item<bool>()) << "output " << i << ", " << max_abs(error) << " of " << max_abs(truth[i]);
    }
  }
}

TEST(NormSilu, MatchesThePlainVersion) {
  const Case c{4, 32, 14, 14, 8, true, true};
  const Inputs in = inputs_of(c);
  const auto plain = outputs(norm_silu_plain, in, c.groups, torch::kFloat32), fused = outputs(norm_silu, in, c.groups, torch::kFloat32);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_LT(max_abs(fused[i] - plain[i]), 3e-6 * max_abs(plain[i])) << i;
}

TEST(NormSilu, IsThePlainVersionInDoublePrecision) {
  const Case c{2, 8, 5, 5, 4, true, false};
  const Inputs in = inputs_of(c);
  const auto plain = outputs(norm_silu_plain, in, c.groups, torch::kFloat64), own = outputs(norm_silu, in, c.groups, torch::kFloat64);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(torch::equal(own[i], plain[i])) << i;
  EXPECT_EQ(
      norm_silu(in.leaves[0].to(torch::kFloat64), {4, in.leaves[1].to(torch::kFloat64), in.leaves[2].to(torch::kFloat64)}).scalar_type(),
      torch::kFloat64);
}

TEST(NormSilu, ReturnsChannelsLastMemory) {
  const Inputs in = inputs_of({2, 8, 6, 6, 4, false, false});
  const Tensor y = norm_silu(in.leaves[0], {4, in.leaves[1], in.leaves[2]});
  EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST(NormSilu, SurvivesArgumentsWhoseExponentialOverflows) {
  torch::manual_seed(0);
  const Tensor x = torch::randn({2, 16, 8, 8}).requires_grad_();
  const Tensor weight = torch::full({16}, 300.0), bias = torch::zeros({16});
  const Tensor y = norm_silu(x, {4, weight, bias}), expected = norm_silu_plain(x, {4, weight, bias});
  EXPECT_LT(expected.min().item<double>(), -0.2);
  EXPECT_GT(max_abs(expected), 600);
  EXPECT_LT(max_abs(y - expected), 1e-3);
  const Tensor grad = torch::autograd::grad({y.sum()}, {x})[0], truth = torch::autograd::grad({expected.sum()}, {x})[0];
  EXPECT_TRUE(grad.isfinite().all().item<bool>());
  EXPECT_LT(max_abs(grad - truth), 1e-5 * max_abs(truth));
}

// The kernel is compiled with -ffast-math, which may forget them; training relies on seeing them.
TEST(NormSilu, PassesOnValuesThatAreNotNumbers) {
  Tensor x = torch::ones({2, 16, 4, 4});
  x[0][3][1][1] = std::nan("");
  x.requires_grad_();
  const Tensor weight = torch::ones({16}).requires_grad_(), bias = torch::zeros({16});
  const Tensor y = norm_silu(x, {4, weight, bias});
  EXPECT_TRUE(y[0][3].isnan().all().item<bool>());
  EXPECT_TRUE(y[1].isfinite().all().item<bool>());
  const auto grads = torch::autograd::grad({y.sum()}, {x, weight});
  EXPECT_TRUE(grads[0][0][3].isnan().all().item<bool>());
  EXPECT_TRUE(grads[0][1].isfinite().all().item<bool>());
  EXPECT_TRUE(grads[1][3].isnan().item<bool>());
}

TEST(NormSilu, MapsAConstantImageToItsBias) {
  const Tensor x = torch::full({1, 8, 5, 5}, 0.7), bias = torch::linspace(-2, 2, 8);
  const Tensor y = norm_silu(x, {2, torch::ones({8}), bias});
  EXPECT_LT(max_abs(y - torch::silu(bias).view({1, 8, 1, 1})), 1e-4);
}

TEST(NormSilu, TreatsEachImageAloneWhateverTheThreads) {
  const Inputs in = inputs_of({5, 16, 6, 6, 4, true, true});
  const auto& v = in.leaves;
  Tensor one, two;
  {
    const WithThreads restore(1);
    one = norm_silu(v[0], {4, v[1], v[2]}, v[3], v[4]);
  }
  {
    const WithThreads restore(2);
    two = norm_silu(v[0], {4, v[1], v[2]}, v[3], v[4]);
  }
  EXPECT_TRUE(torch::equal(one, two));
  for (std::int64_t i = 0; i < 5; ++i) {
    const auto row = [&](const Tensor& t) { return t.narrow(0, i, 1); };
    EXPECT_TRUE(torch::equal(norm_silu(row(v[0]), {4, v[1], v[2]}, row(v[3]), row(v[4])), row(one))) << i;
  }
}

}  // namespace
}  // namespace headstart
