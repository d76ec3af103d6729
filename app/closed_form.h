#pragma once
// A closed form in front of a model: statistics as a run takes them, and the way down that needs no evaluation of the model.

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "denoisers.h"
#include "headstart/flow/teleport.h"
#include "headstart/moments/gaussian_stats.h"
#include "headstart/moments/mixture_stats.h"
#include "headstart/solve/noise.h"

namespace headstart::app {

struct Teleport {
  double sigma = 0;
  TeleportMode mode = TeleportMode::tail;
};

/// A Gaussian or a mixture in the range of the model it is to help.
struct ClosedForm {
  std::shared_ptr<const Denoiser> denoiser{};
  std::shared_ptr<const GaussianStats> gaussian{};                     ///< null where it is a mixture
  std::shared_ptr<const MixtureStats> mixture{};                       ///< null where it is one Gaussian
  std::string path{}, sha256{};                                        ///< of its file
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();  ///< how the file was read, where that was not as it is
};

/// Statistics that are in a file as they are here.
ClosedForm closed_form_of(const MixtureStats& stats, const std::string& path);

/// What --teleport_stats names, for this model.
/// @param label  the components of this class only
/// @throws InvalidArgument as fitted_to (ranges.h), and where there is no such class; see load_mixture
ClosedForm open_closed_form(const std::string& path, const Model& model, std::optional<std::int64_t> label = {});

/// x [B, D] float64 at step.from carried to step.to by the probability flow: a Gaussian's by its formula, a mixture's integrated. Each
/// row's result depends on that row alone. @throws Interrupted between two steps after a signal
torch::Tensor carry(const ClosedForm& form, const torch::Tensor& x, const SigmaStep& step);

/// The same for a stochastic solver: an exact draw of the reverse SDE, which takes one noise of each seed for a Gaussian, two for a
/// mixture.
torch::Tensor carry(const ClosedForm& form, const torch::Tensor& x, const SigmaStep& step, SeededNoise& noise);

}  // namespace headstart::app
