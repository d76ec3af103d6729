#include "headstart/denoise/rescaled.h"

#include <fmt/format.h>

#include <utility>

#include "headstart/error.h"

namespace headstart {

Rescaled::Rescaled(std::shared_ptr<const Denoiser> inner, const AffineMap& map) : inner_(std::move(inner)), map_(map) {
  if (!(map.slope > 0)) throw InvalidArgument(fmt::format("[Rescaled] expected a slope > 0, got {}", map.slope));
}

}  // namespace headstart
