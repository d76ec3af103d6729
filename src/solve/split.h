#pragma once
// Multistep solvers over what a denoiser adds to a linear part: ordinary ones split off the part that their own formula is made for.

#include "headstart/flow/linear_part.h"
#include "march.h"

namespace headstart {

/// What a solver leaves to formulas: `part` on steps that end at or above sigma_c; elsewhere the solver's own part.
struct Split {
  const LinearPart* part = nullptr;
  double sigma_c = 0;
};

/// The residuals D - D_G at the last levels, for both of the parts they may be taken from.
class Residuals {
 public:
  /// @param own  the solver's own part
  Residuals(const Split& split, const LinearPart& own, std::size_t size) : split_(split), own_(own), whole_(size), rest_(size) {}

  void push(const torch::Tensor& x, double sigma, const torch::Tensor& denoised) {
    whole_.push(sigma, denoised - own_.denoise(x, sigma));
    if (split(sigma)) rest_.push(sigma, denoised - split_.part->denoise(x, sigma));
  }

  /// The part that a step to `to` leaves to its formula, and the residuals from it.
  const LinearPart& part(double to) const { return split(to) ? *split_.part : own_; }
  const History& past(double to) const { return split(to) ? rest_ : whole_; }

 private:
  bool split(double to) const { return split_.part != nullptr && to > 0 && to >= split_.sigma_c; }

  Split split_;
  const LinearPart& own_;
  History whole_, rest_;
};

torch::Tensor dpmpp_multistep(const char* name, std::int64_t most_order, const Split& split, const Denoiser& denoiser,
                              const torch::Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options);

enum class Growth { linear, exponential };  ///< UniPC's B(h): h or e^h - 1

torch::Tensor unipc(const char* name, Growth growth, const Split& split, const Denoiser& denoiser, const torch::Tensor& x,
                    const std::vector<double>& sigmas, const SolveOptions& options);

torch::Tensor ipndm(const char* name, const Split& split, const Denoiser& denoiser, const torch::Tensor& x,
                    const std::vector<double>& sigmas, const SolveOptions& options);

}  // namespace headstart
