#include "headstart/solve/noise.h"

#include <ATen/CPUGeneratorImpl.h>

#include "headstart/error.h"

namespace headstart {

torch::Tensor noise_of(const std::vector<std::int64_t>& seeds, const ImageShape& shape) {
  torch::Tensor noise = torch::empty({static_cast<std::int64_t>(seeds.size()), shape.dim()}, torch::kFloat64);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (seeds[i] < 0) throw InvalidArgument("[noise_of] expected seeds >= 0, got " + std::to_string(seeds[i]));
    const auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seeds[i]) % (std::uint64_t{1} << 32));
    noise[static_cast<std::int64_t>(i)].copy_(at::randn({shape.channels, shape.height, shape.width}, generator, torch::kFloat32).flatten());
  }
  return noise;
}

}  // namespace headstart
