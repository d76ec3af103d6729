#pragma once
// Which way to fit a Gaussian: what each costs in memory, and the choice between them.

#include <cstdint>
#include <optional>
#include <string>

namespace headstart {

enum class FitMethod {
  dense,      ///< the D x D covariance and all of its eigenvectors: exact, one pass
  randomised  ///< the leading eigenpairs by subspace iteration: several passes, memory proportional to D R
};

std::string to_string(FitMethod method);

/// Bytes of the dense fit at its peak: the covariance, its eigenvectors and LAPACK's workspace, each (the last twice) D x D float64.
double dense_fit_bytes(std::int64_t dim);

/// Bytes of the randomised fit with a subspace of this many columns, at its peak, batch included.
double randomised_fit_bytes(std::int64_t dim, std::int64_t columns);

/// Images in a batch of the randomised fit: few for large ones, but enough for products with them to run at speed.
std::int64_t randomised_batch_rows(std::int64_t dim);

struct FitDemand {
  std::int64_t dim = 0;
  std::int64_t count = 0;             ///< data points
  std::int64_t rank = 0;              ///< eigenpairs wanted; 0: all, or as many as an energy needs
  double memory = 0;                  ///< bytes that the fit may take
  std::optional<FitMethod> method{};  ///< nothing: dense where it fits
};

struct FitPlan {
  FitMethod method = FitMethod::dense;
  double bytes = 0;          ///< at the peak
  std::int64_t columns = 0;  ///< of the subspace, for the randomised fit
};

/// The dense fit where it fits into memory, else the randomised one. Its subspace has twice as many columns as eigenpairs are wanted (the
/// error falls by the ratio of the eigenvalues there with each pass), fewer where memory is short.
/// @throws InvalidArgument, naming the command's options: where only the randomised fit is possible and no rank is given (says what the
///         dense one would take), where the rank is beyond the D or N - 1 directions that data can vary in, and where nothing fits
FitPlan plan_fit(const FitDemand& demand);

/// Bytes that the machine could give now: Linux's MemAvailable, or a container's limit where that is lower.
double available_memory();

}  // namespace headstart
