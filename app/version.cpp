#include "version.h"

#include <fmt/format.h>
#include <torch/version.h>

#include "headstart/core/blas.h"

namespace headstart::app {

std::string version() {
  return fmt::format("headstart {} (libtorch {}, BLAS {}, ISA {})", HEADSTART_VERSION, TORCH_VERSION, blas_name(), isa_name());
}

}  // namespace headstart::app
