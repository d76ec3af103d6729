#include "closed_form.h"

#include "cli.h"
#include "headstart/data/sha256.h"
#include "headstart/flow/mixture_jump.h"
#include "headstart/solve/prefix.h"
#include "ranges.h"

namespace headstart::app {

ClosedForm closed_form_of(const MixtureStats& stats, const std::string& path) {
  return {.denoiser = denoiser_of(stats),
          .gaussian = stats.components() == 1 ? std::make_shared<const GaussianStats>(stats.component(0)) : nullptr,
          .mixture = stats.components() > 1 ? std::make_shared<const MixtureStats>(stats) : nullptr,
          .path = path,
          .sha256 = sha256_file(path)};
}

ClosedForm open_closed_form(const std::string& path, const Model& model, std::optional<std::int64_t> label) {
  const MixtureStats found = load_class(path, label), stats = fitted_to(model, "--teleport_stats", found);
  ClosedForm form = closed_form_of(stats, path);
  if (label) form.settings["class"] = *label;
  if (stats.components() > 1) form.settings["teleport_components"] = stats.components();
  if (found.range_low != stats.range_low || found.range_high != stats.range_high)
    form.settings["teleport_stats_range"] = {found.range_low, found.range_high};
  return form;
}

torch::Tensor carry(const ClosedForm& form, const torch::Tensor& x, const SigmaStep& step) {
  if (form.gaussian) return teleport(*form.gaussian, x, step.from, step.to);
  return integrated_prefix(*form.denoiser, x, step, {.on_step = stop_if_interrupted});
}

torch::Tensor carry(const ClosedForm& form, const torch::Tensor& x, const SigmaStep& step, SeededNoise& noise) {
  if (form.gaussian) return stochastic_teleport(*form.gaussian, x, step, noise.next());
  const torch::Tensor uniform = torch::special_ndtr(noise.next().select(1, 0));  // seeds give normal numbers only
  return stochastic_jump(*form.mixture, x, step, {.uniform = uniform, .normal = noise.next()});
}

}  // namespace headstart::app
