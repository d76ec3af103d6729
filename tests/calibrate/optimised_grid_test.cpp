#include "headstart/calibrate/optimised_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "../support/gaussians.h"
#include "../support/mixtures.h"
#include "../support/temp_dir.h"
#include "headstart/denoise/counted.h"
#include "headstart/denoise/mixture.h"
#include "headstart/error.h"
#include "headstart/solve/dpm_solver.h"
#include "headstart/solve/sigmas.h"

namespace headstart {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr std::int64_t kGridDim = 8;

std::vector<double> fine_levels(std::int64_t count) { return karras_sigmas({.steps = count, .final_zero = false}); }

TEST(OptimisedGrids, AreNoWorseThanKarrasOnOtherNoise) {
  const MixtureDenoiser denoiser(random_mixture(kGridDim, 3, {.rank = 4}));
  const auto grids = optimised_grids(follow_paths(denoiser, 80 * random_normal({64, kGridDim}, 1), fine_levels(64)), {4, 6, 8, 12});
  const Tensor x = 80 * random_normal({256, kGridDim}, 2), converged = sample_dpmpp_3s(denoiser, x, karras_sigmas({.steps = 300}));
  const auto error = [&](const std::vector<double>& sigmas) {
    return (sample_dpmpp_2m(denoiser, x, sigmas) - converged).square().mean().sqrt().item<double>();
  };
  for (const auto& [steps, grid] : grids) {
    ASSERT_EQ(std::ssize(grid), steps + 1);
    EXPECT_EQ(grid.front(), 80);
    EXPECT_EQ(grid.back(), 0);
    EXPECT_LE(error(grid), error(karras_sigmas({.steps = steps}))) << steps;
  }
}

TEST(OptimisedGrids, OfAllLevelsAreThePathsOwn) {
  const MixtureDenoiser denoiser(random_mixture(kGridDim, 2, {.rank = 4}));
  auto sigmas = fine_levels(5);
  const auto grids = optimised_grids(follow_paths(denoiser, 80 * random_normal({16, kGridDim}, 1), sigmas), {1, 5});
  EXPECT_EQ(grids.at(1), (std::vector<double>{80, 0}));
  sigmas.push_back(0);
  EXPECT_EQ(grids.at(5), sigmas);
}

TEST(FollowPaths, SpendsThreeEvaluationsALevel) {
  const MixtureDenoiser denoiser(random_mixture(kGridDim, 2, {.rank = 4}));
  const Counted counted(denoiser);
  const GridPaths paths = follow_paths(counted, 80 * random_normal({40, kGridDim}, 1), fine_levels(10));
  EXPECT_EQ(counted.nfe(), 10 + 2 * 9);
  EXPECT_EQ(paths.states.sizes(), (std::vector<std::int64_t>{10, 40, kGridDim}));
  EXPECT_EQ(paths.denoised.sizes(), paths.states.sizes());
}

TEST(OptimisedGrids, RefuseWhatMakesNoSense) {
  const MixtureDenoiser denoiser(random_mixture(kGridDim, 2, {.rank = 4}));
  const Tensor x = random_normal({4, kGridDim}, 1);
  const auto refusal = [](const auto& call) { return message_of<InvalidArgument>(call); };
  EXPECT_THAT(refusal([&] { follow_paths(denoiser, x, {1, 0}); }), HasSubstr("levels > 0"));
  EXPECT_THAT(refusal([&] { follow_paths(denoiser, x.narrow(1, 0, 2), {2, 1}); }), HasSubstr("[follow_paths] expected x"));
  EXPECT_THAT(refusal([&] { follow_paths(denoiser, x, {1, 2}); }), HasSubstr("strictly descending"));
  const GridPaths paths = follow_paths(denoiser, x, {3, 2, 1});
  EXPECT_THAT(refusal([&] { optimised_grids(paths, {4}); }), HasSubstr("1 to 3 steps, got 4"));
  EXPECT_THAT(refusal([&] { optimised_grids(follow_paths(denoiser, x, {2, 1}), {1}); }), HasSubstr("at least 3 levels and 2 paths"));
}

TEST(GridFiles, ComeBackAsTheyWereAndRefuseOthers) {
  const TempDir dir;
  const std::string path = dir / "grids.json";
  save_grids(path, {.network_sha256 = "ab", .grids = {{2, {80, 1, 0}}, {3, {80, 2, 0.5, 0}}}});
  const GridFile file = load_grids(path);
  EXPECT_EQ(file.network_sha256, "ab");
  EXPECT_EQ(file.grids.at(3), (std::vector<double>{80, 2, 0.5, 0}));
  EXPECT_EQ(file.grids.size(), 2U);
  EXPECT_THAT(message_of<DataError>([&] { load_grids(dir / "none.json"); }), HasSubstr("no such file"));
  for (const char* text :
       {"{", "[]", R"({"format": "other"})", R"({"format": "headstart-grids", "network_sha256": "a", "grids": {"2": [1, 2]}})",
        R"({"format": "headstart-grids", "network_sha256": "a", "grids": {"x": [2, 1]}})"}) {
    std::ofstream(path) << text;
    EXPECT_THAT(message_of<DataError>([&] { load_grids(path); }), HasSubstr("grids.json: expected")) << text;
  }
}

}  // namespace
}  // namespace headstart
