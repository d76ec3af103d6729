#include "version.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <string>

namespace headstart::app {
namespace {

/// OpenBLAS and the kernels it chose where that is what libtorch was given; otherwise the library that provides sgemm.
std::string blas() {
  using Text = const char* (*)();
  const auto config = reinterpret_cast<Text>(::dlsym(RTLD_DEFAULT, "openblas_get_config"));
  const auto core = reinterpret_cast<Text>(::dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  if (config != nullptr && core != nullptr) {
    const std::string text = config();  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
    return fmt::format("{} {}", text.substr(0, text.find(' ', text.find(' ') + 1)), core());
  }
  Dl_info info{};
  void* sgemm = ::dlsym(RTLD_DEFAULT, "sgemm_");
  return sgemm != nullptr && ::dladdr(sgemm, &info) != 0 ? info.dli_fname : "built into libtorch";
}

std::string isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (__builtin_cpu_supports("avx2")) return "AVX2";
#endif
  return "baseline";
}

}  // namespace

std::string version() {
  return fmt::format("headstart {} (libtorch {}, BLAS {}, ISA {})", HEADSTART_VERSION, TORCH_VERSION, blas(), isa());
}

}  // namespace headstart::app
