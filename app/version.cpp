#include "version.h"

#include <fmt/format.h>
#include <torch/version.h>

#include "headstart/core/blas.h"

namespace headstart::app {

std::string version() { return "headstart " + version_number(); }

std::string version_number() {
  return fmt::format("{} (libtorch {}, BLAS {}, ISA {})", HEADSTART_VERSION, TORCH_VERSION, blas_name(), isa_name());
}

}  // namespace headstart::app
