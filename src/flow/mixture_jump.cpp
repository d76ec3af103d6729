#include "headstart/flow/mixture_jump.h"

#include <fmt/format.h>

#include "headstart/denoise/denoiser.h"
#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/flow/teleport.h"
#include "headstart/moments/packed_mixture.h"

namespace headstart {
namespace {

using torch::Tensor;

/// The component of each row, [B] int64: where the posterior's cumulative sum passes the row's uniform number.
Tensor drawn_components(const MixtureStats& stats, const Tensor& x, double sigma, const Tensor& uniform) {
  const PackedMixture mixture(stats, torch::kFloat64);
  const Tensor variance = torch::full({1, 1}, sigma * sigma, torch::kFloat64);
  const Tensor chosen = in_micro_batches(x, uniform.unsqueeze(1), [&](const Tensor& rows, const Tensor& u) {
    const Tensor cumulative = mixture.log_joint(mixture.project(rows), variance).softmax(1).cumsum(1);
    return (cumulative <= u).sum(1, true);
  });
  return chosen.flatten().clamp_max(stats.components() - 1);  // the sum may end a rounding below 1
}

}  // namespace

Tensor stochastic_jump(const MixtureStats& stats, const Tensor& x, const SigmaStep& step, const JumpNoise& noise) {
  require_points("stochastic_jump", x, stats.dim());
  require_points("stochastic_jump", noise.normal, stats.dim());
  if (noise.normal.size(0) != x.size(0) || noise.uniform.sizes() != torch::IntArrayRef({x.size(0)}))
    throw InvalidArgument(
        fmt::format("[stochastic_jump] expected normal noise of shape [{}, {}] and uniform of [{}]", x.size(0), x.size(1), x.size(0)));
  const Tensor component = drawn_components(stats, x, step.from, noise.uniform);
  Tensor result = torch::empty_like(x);
  for (std::int64_t k = 0; k < stats.components(); ++k) {
    const Tensor rows = (component == k).nonzero().flatten();
    if (rows.numel() == 0) continue;
    result.index_copy_(0, rows, stochastic_teleport(stats.component(k), x.index_select(0, rows), step, noise.normal.index_select(0, rows)));
  }
  return result;
}

}  // namespace headstart
