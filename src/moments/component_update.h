#pragma once

#include <torch/types.h>

namespace headstart {

/// Second moments about a component's new mean, in the basis U it had.
struct Spread {
  torch::Tensor product;  ///< [D, R], S U for the covariance S
  torch::Tensor inner;    ///< [R, R], U^T S U
  double trace = 0;
};

/// What a component of the mixture has beside its mean and weight; eigenvalues and tail at least `floor`.
struct Spectrum {
  torch::Tensor basis, eigenvalues;
  double tail = 0;
};

/// All D directions: S itself is known.
Spectrum updated_full(const Spread& s, const torch::Tensor& basis, double floor);

/// All D axes, in the order of their variances.
Spectrum updated_diagonal(const Spread& s, const torch::Tensor& basis, double floor);

/// The EM update of probabilistic PCA, W <- S W (tail I + M^-1 W^T S W)^-1 with W = U (theta - tail)^1/2, after theta and tail have been
/// set to the best there are for the old subspace: U^T S U = diag(theta), so that all matrices in it but S are diagonal.
Spectrum updated_lowrank(const Spread& s, double floor, bool has_tail);

}  // namespace headstart
