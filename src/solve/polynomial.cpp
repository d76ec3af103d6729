#include "march.h"

namespace headstart {

std::vector<double> lagrange(const std::vector<double>& nodes, std::size_t j) {
  std::vector<double> polynomial{1};
  for (std::size_t m = 0; m < nodes.size(); ++m) {
    if (m == j) continue;
    const double scale = nodes[j] - nodes[m];
    polynomial.push_back(0);
    for (std::size_t p = polynomial.size(); p-- > 0;) polynomial[p] = ((p > 0 ? polynomial[p - 1] : 0) - nodes[m] * polynomial[p]) / scale;
  }
  return polynomial;
}

std::vector<torch::Tensor> through(const std::vector<double>& nodes, const History& past) {
  std::vector<torch::Tensor> terms(nodes.size());
  for (auto& term : terms) term = torch::zeros_like(past.value(0));
  for (std::size_t j = 0; j < nodes.size(); ++j) {
    const std::vector<double> polynomial = lagrange(nodes, j);
    for (std::size_t p = 0; p < nodes.size(); ++p) terms[p].add_(past.value(j), polynomial[p]);
  }
  return terms;
}

}  // namespace headstart
