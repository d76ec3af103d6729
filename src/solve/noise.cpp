#include "headstart/solve/noise.h"

#include <ATen/CPUGeneratorImpl.h>

#include "headstart/error.h"

namespace headstart {

SeededNoise::SeededNoise(const std::vector<std::int64_t>& seeds, const ImageShape& shape) : shape_(shape) {
  for (const auto seed : seeds) {
    if (seed < 0) throw InvalidArgument("[SeededNoise] expected seeds >= 0, got " + std::to_string(seed));
    generators_.push_back(at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed) % (std::uint64_t{1} << 32)));
  }
}

torch::Tensor SeededNoise::next() {
  torch::Tensor noise = torch::empty({static_cast<std::int64_t>(generators_.size()), shape_.dim()}, torch::kFloat64);
  std::int64_t row = 0;
  for (const auto& generator : generators_)
    noise[row++].copy_(at::randn({shape_.channels, shape_.height, shape_.width}, generator, torch::kFloat32).flatten());
  return noise;
}

torch::Tensor noise_of(const std::vector<std::int64_t>& seeds, const ImageShape& shape) { return SeededNoise(seeds, shape).next(); }

}  // namespace headstart
