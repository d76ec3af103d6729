#include "version.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <string>

namespace headstart::app {
namespace {

/// OpenBLAS describes itself where it is what libtorch was given; otherwise the name of the library that provides sgemm.
std::string blas() {
  using Config = const char* (*)();
  if (const auto config = reinterpret_cast<Config>(::dlsym(RTLD_DEFAULT, "openblas_get_config"))) {
    std::string text = config();
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
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
