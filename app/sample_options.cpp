#include "sample_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <ranges>

#include "headstart/calibrate/optimised_grid.h"
#include "headstart/error.h"
#include "schedules.h"

namespace headstart::app {
namespace {

bool is_given(const CLI::Option* option) { return option->count() > 0; }

double parse_level(const char* option, const std::string& text) {
  try {
    std::size_t end = 0;
    const double level = std::stod(text, &end);
    if (end == text.size()) return level;
  } catch (const std::logic_error&) {
  }
  throw InvalidArgument(fmt::format("{}: expected off, auto or a noise level, got {}", option, text));
}

/// The grid of --steps levels in the file.
std::vector<double> optimised_grid(const SampleOptions& o, const SamplingOptions& s, const Model& model) {
  if (!s.sigmas.empty()) throw InvalidArgument("--schedule: expected without --sigmas, got optimised, whose levels are given");
  const GridFile file = load_grids(o.grid_file);
  if (file.network_sha256 != model.sha256)
    throw InvalidArgument(fmt::format("--grid_file: expected grids of {}, got those of another network in {}", model.path, o.grid_file));
  const auto found = file.grids.find(s.karras.steps);
  if (found == file.grids.end())
    throw InvalidArgument(fmt::format("--steps: expected one of {}, the grids in {}, got {}", fmt::join(std::views::keys(file.grids), ", "),
                                      o.grid_file, s.karras.steps));
  return found->second;
}

void require_absent(const std::string& option, std::initializer_list<const CLI::Option*> others, const std::string& why) {
  for (const CLI::Option* other : others)
    if (is_given(other)) throw InvalidArgument(fmt::format("{}: expected without {}, because it is {}", option, other->get_name(), why));
}

/// A grid comes by formula, from a file or as it is, and pictures say where theirs starts.
void require_one_grid(const SampleOptions& o) {
  if (!o.sigmas.empty()) require_absent("--sigmas", {o.steps, o.rho, o.schedule, o.sigma_min, o.sigma_max, o.zero}, "the whole grid");
  if (!o.grid_file.empty()) require_absent("--grid_file", {o.rho, o.sigma_min, o.sigma_max, o.zero}, "the whole grid");
  if (is_given(o.rho) && o.sampling.schedule != "karras")
    throw InvalidArgument(fmt::format("--rho: expected with --schedule karras, got it with {}", o.sampling.schedule));
  const std::string given = !o.sigmas.empty() ? "--sigmas" : !o.grid_file.empty() ? "--grid_file" : "";
  if (o.init.empty() && o.init_sigma != 0) throw InvalidArgument("--init_sigma: expected with --init, the pictures to start from");
  if (o.init.empty()) return;
  if (!given.empty() && o.init_sigma != 0)
    throw InvalidArgument(fmt::format("--init_sigma: expected without {}, because it is the grid's first level", given));
  if (given.empty() && !(o.init_sigma > 0)) throw InvalidArgument("--init_sigma: expected a noise level > 0, at which --init starts");
  require_absent("--init_sigma", {o.sigma_max}, "the grid's first level");
}

/// Defaults bend to what the model was trained on, unless a closed form takes its place there.
void set_range(SamplingOptions& s, const SampleOptions& o, const Model& model) {
  if (!is_given(o.sigma_min)) s.karras.sigma_min = std::max(s.karras.sigma_min, model.sigma_min);
  if (!s.sigmas.empty()) {
    s.sigma_max_option = o.sigmas.empty() ? "--grid_file" : "--sigmas";
  } else if (!o.init.empty()) {
    s.karras.sigma_max = o.init_sigma;
    s.sigma_max_option = "--init_sigma";
  } else if (!is_given(o.sigma_max) && s.karras.sigma_max > model.sigma_max && !s.teleport) {
    // Pure noise is a biased start where the data still show, and the closed form can begin where they do not.
    if (s.closed_form) s.sigma_start = s.karras.sigma_max;
    s.karras.sigma_max = model.sigma_max;
  }
}

}  // namespace

Model open_sampled_model(const SampleOptions& o, const Cli& cli) {
  ModelOptions named = o.model;
  if (named.stats.empty() && !o.teleport_stats.empty()) named.label.reset();  // it is for the statistics of the head start
  return open_model(named, cli, "sample");
}

SamplingOptions sampling_of(const SampleOptions& o, const Model& model) {
  require_one_grid(o);
  SamplingOptions s = o.sampling;
  s.seeds = parse_seeds(o.seeds);
  s.seeds_text = o.seeds;
  s.sigmas = o.sigmas;
  if (o.denoise_to_zero != "on" && o.denoise_to_zero != "off")
    throw InvalidArgument("--denoise_to_zero: expected one of on, off, got " + o.denoise_to_zero);
  s.karras.final_zero = o.denoise_to_zero == "on";
  if ((s.schedule == "optimised") == o.grid_file.empty())
    throw InvalidArgument("--grid_file: expected with --schedule optimised, and that with a file of grids");
  if (!o.grid_file.empty()) s.sigmas = optimised_grid(o, s, model);
  read_v3(o.v3, model, s);
  const TeleportMode mode = parse_teleport_mode(o.mode);
  if (is_given(o.mode_option) && o.teleport == "off") throw InvalidArgument("--teleport_mode: expected with --teleport");
  const bool automatic = o.teleport == "auto" || o.residual == "auto";
  if (o.teleport != "off" && o.teleport != "auto") s.teleport = Teleport{.sigma = parse_level("--teleport", o.teleport), .mode = mode};
  if (o.residual != "off" && o.residual != "auto") {
    s.residual = parse_level("--residual", o.residual);
    if (!(*s.residual >= 0)) throw InvalidArgument("--residual: expected off or a noise level >= 0, got " + o.residual);
  }
  if ((s.teleport || s.residual || automatic) && o.teleport_stats.empty())
    throw InvalidArgument(
        fmt::format("--teleport_stats: expected a statistics file, which --{} needs", o.teleport != "off" ? "teleport" : "residual"));
  if (!o.teleport_stats.empty()) s.closed_form = open_closed_form(o.teleport_stats, model, o.model.label);
  set_range(s, o, model);
  if (s.closed_form && !s.teleport && !s.residual && !automatic && s.sigma_start == 0)
    throw InvalidArgument("--teleport_stats: expected with --teleport, --residual, or a network whose levels end below the default grid's");
  if (!o.init.empty()) s.init = open_start_images(o.init, model, s.seeds);
  return s;
}

AutoOptions automatic_of(const SampleOptions& o) {
  AutoOptions automatic = o.automatic;
  automatic.teleport = o.teleport == "auto";
  automatic.residual = o.residual == "auto";
  automatic.mode = parse_teleport_mode(o.mode);
  if (!automatic.teleport && !automatic.residual && !(automatic.data.empty() && automatic.file.empty()))
    throw InvalidArgument("--calibration_data, --calibration_file: expected with --teleport auto or --residual auto");
  return automatic;
}

void add_sample_options(CLI::App& verb, SampleOptions& o) {
  SamplingOptions& s = o.sampling;
  add_model_options(verb, o.model);
  verb.add_option("--seeds", o.seeds, "one sample a seed, such as 0-63,100")->capture_default_str();
  verb.add_option("--batch", s.batch, "samples at once (changes no picture)")->check(CLI::PositiveNumber)->capture_default_str();
  o.steps =
      verb.add_option("--steps", s.karras.steps, "grid points, a final 0 not counted")->check(CLI::PositiveNumber)->capture_default_str();
  verb.add_option("--solver", s.solver, fmt::format("one of {}", fmt::join(solver_names(), ", ")))->capture_default_str();
  verb.add_option("--order", s.solve.order, "of dpmpp_2m, dpmpp_3m, unipc, dpm_v3, deis and ipndm; 0: the solver's own")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_flag("--lower_order_final", s.solve.lower_order_final, "the last steps of multistep solvers at orders ..., 2, 1");
  verb.add_option("--tolerance", s.solve.tolerance, "of rk45: error a step, relative to 1 + |x|")->capture_default_str();
  add_v3_options(verb, o.v3, s.solve);
  verb.add_option("--S_churn", s.solve.churn.S_churn, "of heun: noise added on the way (EDM's algorithm 2); 0: none")
      ->capture_default_str();
  verb.add_option("--S_min", s.solve.churn.S_min, "smallest level at which it is added")->capture_default_str();
  verb.add_option("--S_max", s.solve.churn.S_max, "largest level at which it is added")->capture_default_str();
  verb.add_option("--S_noise", s.solve.churn.S_noise, "factor on it")->capture_default_str();
  o.sigma_min = verb.add_option("--sigma_min", s.karras.sigma_min, "smallest positive level")->capture_default_str();
  o.sigma_max = verb.add_option("--sigma_max", s.karras.sigma_max, "largest level")->capture_default_str();
  o.rho = verb.add_option("--rho", s.karras.rho, "how the karras grid is spaced")->capture_default_str();
  o.schedule = verb.add_option("--schedule", s.schedule,
                               fmt::format("how the levels are spaced: {}, optimised (see --grid_file)", fmt::join(schedule_names(), ", ")))
                   ->capture_default_str();
  verb.add_option("--grid_file", o.grid_file, "of --schedule optimised: file of the network's grids (see fit --from_network --grid_file)");
  verb.add_option("--sigmas", o.sigmas, "the grid itself, strictly descending")->delimiter(',');
  o.zero = verb.add_option("--denoise_to_zero", o.denoise_to_zero, "on or off: append a final 0 to the grid")->capture_default_str();
  verb.add_option("--init", o.init, "pictures to start from (DATA): seed s from picture s modulo their number");
  verb.add_option("--init_sigma", o.init_sigma, "noise level at which --init starts, the grid's first");
  verb.add_option("--teleport", o.teleport, "off, auto, or the noise level down to which a closed form takes the model's place")
      ->capture_default_str();
  o.mode_option =
      verb.add_option(
              "--teleport_mode", o.mode,
              "tail (jump, keep the rest of the grid), respaced (jump, as many steps below it) or replace (no jump: the closed form as "
              "denoiser above)")
          ->capture_default_str();
  verb.add_option("--residual", o.residual,
                  "off, auto, or the noise level down to which each step's Gaussian part is solved by formula (with a multistep solver)")
      ->capture_default_str();
  add_auto_options(verb, o.automatic);
  verb.add_option("--teleport_stats", o.teleport_stats, "the Gaussian or mixture of --teleport and --residual");
}

}  // namespace headstart::app
