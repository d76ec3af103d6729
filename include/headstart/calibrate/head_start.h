#pragma once
// How far a formula may carry a sampler: chosen for a network, its Gaussian, a solver and a number of evaluations on a small batch, without
// any pictures to compare with.

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "headstart/denoise/denoiser.h"

namespace headstart {

// What `auto` is made of: a calibration's size, its seeds, which no run uses by default, and what it tries.
inline constexpr std::int64_t kCalibrationSeeds = 64, kFirstCalibrationSeed = 1'000'000'000;
inline constexpr std::int64_t kHeldOutPoints = 256;  ///< their noise is of the seeds after those
inline constexpr std::int64_t kReferenceSteps = 60;  ///< of unipc_bh2 on Karras's grid
/// Levels in units of half the width of the data's range: 1 for data in [-1, 1].
std::vector<double> jumps_to_try(double unit = 1);     ///< 40 to 2.5, about sqrt 2 apart
std::vector<double> switches_to_try(double unit = 1);  ///< sigma_c, the most likely first

/// What a formula does for a sampler; nothing where both are empty.
struct HeadStart {
  std::optional<double> sigma_skip{};  ///< teleport to there
  std::optional<double> sigma_c{};     ///< residual form down to there
  bool operator==(const HeadStart&) const = default;
};

/// The denoising errors of both models at one level: means over the points of |D(x0 + sigma n) - x0|^2 / D.
struct DenoisingErrors {
  double sigma = 0, network = 0, closed_form = 0;
  bool as_good = false;  ///< the closed form's is not larger by more than two standard errors of the paired difference
};

/// Above which level a closed form denoises as well as the network, so that nothing is lost by its flow.
struct Crossing {
  std::optional<double> sigma{};        ///< the lowest level down to which that holds from the top on; none where not even there
  std::vector<DenoisingErrors> errors;  ///< descending levels, ending two below the crossing
};

/// @param points  [N, D] held-out data, in the network's units; N >= 2
/// @param noise   [N, D] standard normal
/// @param levels  descending: see crossing_levels
/// @throws InvalidArgument where there are fewer than two points
/// Cost N evaluations of the network for each level that is looked at.
Crossing find_crossing(const Denoiser& network, const Denoiser& closed_form, const torch::Tensor& points, const torch::Tensor& noise,
                       const std::vector<double>& levels);

/// 20 levels evenly spaced in ln sigma from 80 units, or the network's largest, to an 80th of that or its smallest.
std::vector<double> crossing_levels(double sigma_min, double sigma_max, double unit = 1);

/// A head start and how far from the reference ends it led: root mean square over the batch, data units.
struct Trial {
  HeadStart start;
  double error = 0;  ///< infinite where it led nowhere
};

struct Choice {
  HeadStart best;
  std::vector<Trial> trials;  ///< in the order they were made; the first has no help but what is given
};

struct Candidates {
  std::vector<double> skips;     ///< where to jump to, descending; empty: `given` decides
  std::vector<double> switches;  ///< sigma_c; empty: `given` decides
  HeadStart given{};             ///< what is not searched for: empty where it is
};

/// Errors up to this times the least count as equal: a small batch cannot tell them apart.
inline constexpr double kAsGood = 1.05;

/// Tries what is given alone, then every jump (with the first switch), then every switch and none with the best jump, and takes what ends
/// nearest to the reference; of those as good as that the one tried first, which departs least from the network.
/// @param reference  [B, D], where the paths really end: the closed form's flow down to the crossing, if there is one, and from there the
///                   network's in small steps
/// @param draw       the end points [B, D] of the sampler with a head start, from the noise that the reference started from
/// Cost at most 2 + skips.size() + switches.size() runs of the sampler.
Choice choose_head_start(const torch::Tensor& reference, const Candidates& candidates,
                         const std::function<torch::Tensor(const HeadStart&)>& draw);

}  // namespace headstart
