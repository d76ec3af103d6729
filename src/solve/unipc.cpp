#include "headstart/solve/unipc.h"

#include <string>

#include "march.h"

namespace headstart {
namespace {

using torch::Tensor;

/// The weights of the differences that make an update of order r.size() + 1: the linear system of the paper's theorem 3.1.
std::vector<double> weights_of(const std::vector<double>& r, double h, double b) {
  const auto n = static_cast<std::int64_t>(r.size());
  const Tensor powers = torch::ones({n, n}, torch::kFloat64), right = torch::empty({n}, torch::kFloat64);
  double phi = std::expm1(-h) / -h - 1, factorial = 1;
  for (std::int64_t k = 0; k < n; ++k) {
    for (std::int64_t m = 0; m < n; ++m) powers[k][m] = std::pow(r[static_cast<std::size_t>(m)], static_cast<double>(k));
    right[k] = phi * factorial / b;
    factorial *= static_cast<double>(k + 2);
    phi = phi / -h - 1 / factorial;
  }
  const Tensor weights = torch::linalg_solve(powers, right);
  return {weights.data_ptr<double>(), weights.data_ptr<double>() + n};
}

enum class Growth { linear, exponential };

Tensor unipc(const char* name, const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options,
             Growth growth) {
  const std::size_t order = order_of(name, options, 3, 3);
  History past(order);  // denoised estimates over u = -ln sigma; the newest is that of the level where the state is
  return march(name, denoiser, x, sigmas, options, [&](const Tensor& state, std::size_t i) -> Tensor {
    const double u = -std::log(sigmas[i]);
    if (i == 0) past.push(u, denoiser.denoise(state, sigmas[i]));
    const Tensor now = past.value(0);
    if (sigmas[i + 1] == 0) return now;
    const std::size_t k = order_at(i, order, sigmas, options);
    const double h = -std::log(sigmas[i + 1]) - u, b = growth == Growth::linear ? -h : std::expm1(-h);
    std::vector<double> r;
    std::vector<Tensor> differences;
    for (std::size_t m = 1; m < k; ++m) {
      r.push_back((past.level(m) - u) / h);
      differences.push_back((past.value(m) - now) / r.back());
    }
    const Tensor base = relaxed(state, now, h);
    const auto updated = [&](const std::vector<double>& weights) {
      Tensor result = base.clone();
      for (std::size_t m = 0; m < weights.size(); ++m) result.sub_(differences[m], b * weights[m]);
      return result;
    };
    // With one difference any weight near 1/2 gives order 2; the paper's is 1/2.
    const Tensor predicted = updated(k == 1 ? std::vector<double>{} : k == 2 ? std::vector<double>{0.5} : weights_of(r, h, b));
    if (i + 2 == sigmas.size()) return predicted;
    past.push(u + h, denoiser.denoise(predicted, sigmas[i + 1]));
    r.push_back(1);
    differences.push_back(past.value(0) - now);
    return updated(k == 1 ? std::vector<double>{0.5} : weights_of(r, h, b));
  });
}

}  // namespace

Tensor sample_unipc_bh1(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return unipc("sample_unipc_bh1", denoiser, x, sigmas, options, Growth::linear);
}

Tensor sample_unipc_bh2(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& sigmas, const SolveOptions& options) {
  return unipc("sample_unipc_bh2", denoiser, x, sigmas, options, Growth::exponential);
}

}  // namespace headstart
