#include "headstart/solve/prefix.h"

#include <fmt/format.h>

#include "headstart/denoise/micro_batch.h"
#include "headstart/error.h"
#include "headstart/solve/one_step.h"

namespace headstart {

torch::Tensor integrated_prefix(const Denoiser& closed_form, const torch::Tensor& x, const SigmaStep& step, const PrefixOptions& options) {
  if (!(step.to > 0 && step.from > step.to))
    throw InvalidArgument(fmt::format("[integrated_prefix] expected 0 < to < from, got from {} to {}", step.from, step.to));
  SolveOptions solve{.tolerance = options.tolerance};
  if (options.on_step) solve.on_step = [&](std::size_t, const torch::Tensor&) { options.on_step(); };
  return sample_rk45(MicroBatched(closed_form), x, {step.from, step.to}, solve);
}

}  // namespace headstart
