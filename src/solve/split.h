#pragma once
// Multistep solvers over what a denoiser adds to a linear part: ordinary ones split off the part that their own formula is made for.

#include <optional>

#include "headstart/flow/linear_part.h"
#include "headstart/solve/residual.h"
#include "march.h"

namespace headstart {

/// A state, and the residuals D - D_G at the last levels, in coordinates of a linear part's modes.
class Residuals {
 public:
  Residuals(const LinearPart& part, ResidualWeight weight, std::size_t size) : part_(part), weight_(weight), past_(size) {}

  const History& past() const { return past_; }

  /// Moves to the state x, whose coordinates are known where it came from here.
  void at(const torch::Tensor& x) { z_ = x.is_same(last_x_) ? last_z_ : part_.to_modes(x); }

  /// Takes what the denoiser says of that state.
  void push(double sigma, const torch::Tensor& denoised) {
    past_.push(sigma, part_.to_modes(denoised) - shrinkage(part_.variances(), sigma) * z_);
  }

  /// Where the part's flow carries the state.
  torch::Tensor flowed(const SigmaStep& step) const { return kept(part_.variances(), step) * z_; }

  /// What the residual terms[0] + terms[1] v/h + ... adds over the step.
  torch::Tensor added(const std::vector<torch::Tensor>& terms, const SigmaStep& step) const {
    const torch::Tensor variances = weight_ == ResidualWeight::mode ? part_.variances() : torch::zeros({}, torch::kFloat64);
    torch::Tensor sum = response(variances, step, 0) * terms[0];
    for (std::size_t p = 1; p < terms.size(); ++p) sum.addcmul_(terms[p], response(variances, step, p));
    return sum;
  }

  /// A residual of level step.from, carried along the part's flow.
  torch::Tensor carried(const torch::Tensor& residual, const SigmaStep& step) const {
    return weight_ == ResidualWeight::mode ? kept(part_.variances(), step) * residual : residual;
  }

  torch::Tensor state(const torch::Tensor& z) {
    last_z_ = z;
    return last_x_ = part_.from_modes(z);
  }

 private:
  const LinearPart& part_;
  ResidualWeight weight_;
  History past_;
  torch::Tensor z_, last_z_, last_x_;
};

/// What a solver leaves to formulas: `part` on steps that end at or above sigma_c, elsewhere the part that the solver is made for.
struct Split {
  const LinearPart* part = nullptr;
  double sigma_c = 0;
  ResidualWeight weight = ResidualWeight::mode;
};

/// The residuals from both of these parts: what either extrapolates from is there when a run changes from one to the other.
class Branches {
 public:
  Branches(const Split& split, double own_variance, std::size_t size)
      : split_(split), own_part_(own_variance), own_(own_part_, ResidualWeight::mode, size) {
    if (split.part != nullptr) other_.emplace(*split.part, split.weight, size);
  }

  void at(const torch::Tensor& x, double sigma) {
    own_.at(x);
    if (splits(sigma)) other_->at(x);
  }
  void push(double sigma, const torch::Tensor& denoised) {
    own_.push(sigma, denoised);
    if (splits(sigma)) other_->push(sigma, denoised);
  }
  /// What a step that ends at `to` is made from.
  Residuals& for_step_to(double to) { return splits(to) ? *other_ : own_; }

 private:
  bool splits(double level) const { return other_ && level >= split_.sigma_c; }

  Split split_;
  IsotropicPart own_part_;
  Residuals own_;
  std::optional<Residuals> other_;
};

/// One evaluation a step: advance(residuals, step, order) is where the step leads, in coordinates of the modes.
template <class Advance>
torch::Tensor multistep(const char* name, const Split& split, double own_variance, std::size_t order, const Denoiser& denoiser,
                        const torch::Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options, Advance advance) {
  Branches branches(split, own_variance, order);
  return march(name, denoiser, x, sigmas, options, [&](const torch::Tensor& state, std::size_t i) -> torch::Tensor {
    const SigmaStep step{.from = sigmas[i], .to = sigmas[i + 1]};
    const torch::Tensor now = denoiser.denoise(state, step.from);
    if (step.to == 0) return now;
    branches.at(state, step.from);
    branches.push(step.from, now);
    Residuals& residuals = branches.for_step_to(step.to);
    return residuals.state(advance(residuals, step, order_at(i, order, sigmas, options)));
  });
}

torch::Tensor dpmpp_multistep(const char* name, std::int64_t most_order, const Split& split, const Denoiser& denoiser,
                              const torch::Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options);

enum class Growth { linear, exponential };  ///< UniPC's B(h): h or e^h - 1

torch::Tensor unipc(const char* name, Growth growth, const Split& split, const Denoiser& denoiser, const torch::Tensor& x,
                    const std::vector<double>& sigmas, const SolveOptions& options);

torch::Tensor ipndm(const char* name, const Split& split, const Denoiser& denoiser, const torch::Tensor& x,
                    const std::vector<double>& sigmas, const SolveOptions& options);

}  // namespace headstart
