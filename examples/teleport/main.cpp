// A denoiser of one's own, sampled with a head start: 18 Heun steps, the first of them by formula.
// Here the denoiser is a mixture of two Gaussians; in earnest it would call a network.

#include <headstart/data/image_stream.h>
#include <headstart/denoise/counted.h>
#include <headstart/denoise/denoiser.h>
#include <headstart/flow/teleport.h>
#include <headstart/moments/moments.h>
#include <headstart/solve/noise.h>
#include <headstart/solve/sigmas.h>
#include <headstart/solve/one_step.h>

#include <cstdio>

using torch::Tensor;

/// Half of the points around +1, half around -1 in the first of two dimensions, each of standard deviation 0.3.
class TwoBlobs : public headstart::Denoiser {
 public:
  std::int64_t dim() const override { return 2; }

 private:
  Tensor evaluate(const Tensor& x, const Tensor& sigma) const override {
    const Tensor variance = 0.09 + sigma.square();
    const Tensor centre = torch::zeros_like(x);
    centre.select(1, 0).copy_(torch::tanh(x.select(1, 0) / variance.flatten()));  // E[which blob | x]
    return centre + 0.09 / variance * (x - centre);
  }
};

int main() {
  const headstart::ImageShape shape{1, 1, 2};
  // The Gaussian of the same data: variance 1 + 0.09 along the first axis, 0.09 along the second.
  headstart::GaussianStats gaussian =
      headstart::gaussian_from_moments(torch::zeros({2}, torch::kFloat64), torch::diag(torch::tensor({1.09, 0.09}, torch::kFloat64)));
  gaussian.shape = shape;

  const TwoBlobs blobs;
  const auto grid = headstart::karras_sigmas({.steps = 18});
  const auto rest = headstart::tail_of(grid, 5.0);
  std::vector<std::int64_t> seeds(200);
  for (std::size_t i = 0; i < seeds.size(); ++i) seeds[i] = static_cast<std::int64_t>(i);
  const Tensor start = grid.front() * headstart::noise_of(seeds, shape);

  const headstart::Counted full(blobs), skipped(blobs);
  const Tensor a = headstart::sample_heun(full, start, grid);
  const Tensor b = headstart::sample_heun(skipped, headstart::teleport(gaussian, start, grid.front(), rest.front()), rest);
  std::printf("full run: %lld evaluations; from sigma %.2f: %lld; rms difference of the samples %.4f\n", static_cast<long long>(full.nfe()),
              rest.front(), static_cast<long long>(skipped.nfe()), (a - b).square().mean().sqrt().item<double>());
}
