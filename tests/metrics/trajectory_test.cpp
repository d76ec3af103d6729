#include "headstart/metrics/trajectory.h"

#include <gmock/gmock.h>

#include <cmath>

#include "../support/gaussians.h"
#include "headstart/denoise/gaussian.h"
#include "headstart/error.h"
#include "headstart/flow/gaussian_flow.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kDim = 10;

/// The exact paths of a Gaussian from pure noise.
RecordedPaths exact_paths(const GaussianStats& stats, std::int64_t seeds, const std::vector<double>& sigmas) {
  const GaussianDenoiser gaussian(stats);
  const Tensor start = sigmas.front() * random_normal({seeds, kDim}, 7);
  std::vector<Tensor> states, denoised;
  for (const double sigma : sigmas) {
    states.push_back(gaussian_flow(stats, start, {.from = sigmas.front(), .to = sigma}));
    denoised.push_back(sigma > 0 ? gaussian.denoise(states.back(), sigma) : states.back());
  }
  return {sigmas, torch::stack(states, 1), torch::stack(denoised, 1)};
}

TEST(PathAgreement, OfTheGaussianWithItselfIsComplete) {
  const GaussianStats stats = random_gaussian(kDim);
  const auto agreement = path_agreement(stats, exact_paths(stats, 5, karras_sigmas({.steps = 12})), 4);
  EXPECT_LT(agreement.state.max().item<double>(), 1e-20);
  EXPECT_LT(agreement.denoised.max().item<double>(), 1e-20);
  EXPECT_NEAR(agreement.modes.min().item<double>(), 1, 1e-12);
  EXPECT_EQ(agreement.modes.sizes(), (std::vector<std::int64_t>{13, 4}));
}

TEST(PathAgreement, FindsTheLevelAndModeThatDiffer) {
  const GaussianStats stats = random_gaussian(kDim);
  RecordedPaths paths = exact_paths(stats, 5, karras_sigmas({.steps = 12}));
  const Tensor old = (paths.denoised.select(1, 6) - stats.mean).mv(stats.basis.select(1, 2));
  paths.denoised.select(1, 6).add_(torch::outer(-old, stats.basis.select(1, 2)));  // mode 2 lost at level 6
  const auto agreement = path_agreement(stats, paths, 4);
  EXPECT_NEAR(agreement.modes[6][1].item<double>(), 1, 1e-12);
  EXPECT_LT(agreement.modes[6][2].item<double>(), -1e6);  // nothing is left to be explained
  EXPECT_GT(agreement.denoised[6].item<double>(), 1e-6);
  EXPECT_LT(agreement.denoised[5].item<double>(), 1e-20);
}

TEST(PathDirections, CountTheDimensionsOfAPath) {
  const Tensor t = torch::linspace(0, 1, 20, torch::kFloat64).unsqueeze(1);
  const Tensor basis = std::get<0>(torch::linalg_qr(random_normal({kDim, 2}, 3))).t();
  const Tensor line = t.mm(basis.narrow(0, 0, 1)), plane = torch::cat({torch::cos(3 * t), torch::sin(3 * t)}, 1).mm(basis);
  EXPECT_NEAR(path_directions(line.unsqueeze(0), 1)[0].item<double>(), 1, 1e-12);
  const Tensor shares = path_directions(plane.unsqueeze(0), 3);
  EXPECT_LT(shares[0].item<double>(), 0.95);
  EXPECT_NEAR(shares[1].item<double>(), 1, 1e-12);
  EXPECT_EQ(shares.size(0), 3);
}

TEST(DecidedLevels, OfAGaussianAreTheRootsOfItsEigenvalues) {
  const GaussianStats stats = random_gaussian(kDim);
  const Tensor decided = decided_levels(stats, exact_paths(stats, 6, karras_sigmas({.steps = 200})), kDim);
  EXPECT_LT(((decided / stats.eigenvalues.sqrt()) - 1).abs().max().item<double>(), 2e-3);
}

TEST(DecidedLevels, AreNotANumberWhereNothingIsDecided) {
  const GaussianStats stats = random_gaussian(kDim);
  EXPECT_TRUE(decided_levels(stats, exact_paths(stats, 6, {0.01, 0.005, 0}), 1).isnan().all().item<bool>());
}

TEST(KickResponse, OfAGaussianIsAsPredicted) {
  const GaussianStats stats = random_gaussian(kDim);
  const GaussianDenoiser gaussian(stats);
  const auto sigmas = karras_sigmas({.steps = 200, .sigma_max = 3});
  for (const std::int64_t mode : {0, 3}) {
    const double lambda = stats.eigenvalues[mode].item<double>();
    const Tensor response = kick_response(gaussian, stats, 3 * random_normal({4, kDim}, 5), sigmas, {.mode = mode, .size = 0.5});
    EXPECT_LT((response - predicted_kick_response(lambda, 3)).abs().max().item<double>(), 1e-3) << "mode " << mode;
  }
}

TEST(JacobianModes, OfAGaussianAreItsEigenvectors) {
  const GaussianStats stats = random_gaussian(kDim);
  const GaussianDenoiser gaussian(stats);
  const auto modes = jacobian_modes(gaussian, random_normal({kDim}, 5), 0.8, {.modes = 3, .oversampling = 3, .iterations = 12});
  const Tensor expected = stats.eigenvalues / (stats.eigenvalues + 0.64);
  EXPECT_LT(largest_difference(modes.eigenvalues, expected.narrow(0, 0, 3)), 1e-6);
  EXPECT_NEAR(subspace_overlap(modes.basis, stats.basis.narrow(1, 0, 3)), 1, 1e-5);
  EXPECT_NEAR(subspace_overlap(modes.basis, stats.basis.narrow(1, 5, 3)), 0, 1e-5);
}

TEST(Trajectory, RefusesWhatDoesNotFit) {
  const GaussianStats stats = random_gaussian(kDim);
  const RecordedPaths paths = exact_paths(stats, 2, {3, 1, 0.5});
  EXPECT_THAT(message_of<InvalidArgument>([&] { path_agreement(stats, paths, 11); }),
              HasSubstr("[path_agreement] expected 1 to 10 modes, got 11"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { path_agreement(random_gaussian(8), paths, 1); }), HasSubstr("shape [K, 3, 8]"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { decided_levels(stats, paths, 2); }), HasSubstr("expected paths that end in sigma 0"));
  const GaussianDenoiser gaussian(stats);
  EXPECT_THAT(message_of<InvalidArgument>([&] {
                kick_response(gaussian, stats, paths.states.select(1, 0), {3, 1}, {.mode = 10, .size = 1});
              }),
              HasSubstr("expected a mode from 0 to 9, got 10"));
  EXPECT_THAT(message_of<InvalidArgument>([&] {
                kick_response(gaussian, stats, paths.states.select(1, 0), {3, 1}, {.mode = 0, .size = 0});
              }),
              HasSubstr("expected a size > 0"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { jacobian_modes(gaussian, random_normal({3}, 1), 1); }),
              HasSubstr("expected x of shape [10]"));
  EXPECT_THAT(message_of<InvalidArgument>([&] { jacobian_modes(gaussian, random_normal({kDim}, 1), 1, {.modes = 11}); }),
              HasSubstr("expected 1 to 10 modes"));
}

}  // namespace
}  // namespace headstart
