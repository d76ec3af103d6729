#include "headstart/metrics/explained_variance.h"

#include <fmt/format.h>

#include <cmath>

#include "headstart/error.h"

namespace headstart {

using torch::Tensor;

namespace {

void require_estimates(const char* function, const Tensor& x, const Tensor& net, const Tensor& model) {
  if (x.dim() != 2 || x.size(0) < 1 || net.sizes() != x.sizes() || model.sizes() != x.sizes())
    throw InvalidArgument(fmt::format("[{}] expected points and two estimates of one shape [B >= 1, D]", function));
  for (const auto& tensor : {x, net, model})
    if (!tensor.isfinite().all().item<bool>()) throw NumericalError(fmt::format("[{}] expected finite points and estimates", function));
}

/// [B]: |y|^2 of each row.
Tensor squares(const Tensor& y) { return y.square().sum(1); }

ExplainedShare share_of(const Tensor& missed, const Tensor& whole) {
  if (!(whole > 0).all().item<bool>())
    throw NumericalError("[explained_variance] expected scores and estimates other than zero: there is nothing to explain");
  const Tensor explained = 1 - missed / whole;
  const auto count = static_cast<double>(explained.numel());
  ExplainedShare share{.mean = explained.mean().item<double>()};
  if (count > 1) share.std = explained.std().item<double>();
  const double half = 1.96 * share.std / std::sqrt(count);
  share.interval = {share.mean - half, share.mean + half};
  return share;
}

}  // namespace

ExplainedVariance explained_variance(const Tensor& x, const Tensor& net, const Tensor& model) {
  require_estimates("explained_variance", x, net, model);
  const Tensor points = x.to(torch::kFloat64), a = net.to(torch::kFloat64), b = model.to(torch::kFloat64);
  // s = (D - x) / sigma^2, so scores and estimates miss each other by the same vector up to sigma^2, which cancels in the ratio.
  const Tensor missed = squares(a - b);
  return {.score = share_of(missed, squares(a - points)),
          .score_rev = share_of(missed, squares(b - points)),
          .denoised = share_of(missed, squares(a)),
          .denoised_rev = share_of(missed, squares(b))};
}

Tensor explained_by_mode(const Tensor& basis, const Tensor& x, const Tensor& net, const Tensor& model) {
  require_estimates("explained_by_mode", x, net, model);
  if (basis.dim() != 2 || basis.size(0) != x.size(1))
    throw InvalidArgument(fmt::format("[explained_by_mode] expected a basis of shape [{}, R]", x.size(1)));
  const auto along = [&](const Tensor& y) { return y.to(torch::kFloat64).mm(basis.to(torch::kFloat64)).square().sum(0); };
  return 1 - along(net - model) / along(net - x);
}

}  // namespace headstart
