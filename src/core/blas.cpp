#include "headstart/core/blas.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace headstart {
namespace {

/// What a text function of OpenBLAS says; empty where another BLAS is in use.
std::string openblas_says(const char* function) {
  using Text = const char* (*)();
  const auto call = reinterpret_cast<Text>(::dlsym(RTLD_DEFAULT, function));
  return call != nullptr ? call() : "";
}

}  // namespace

std::string blas_name() {
  const std::string config = openblas_says("openblas_get_config");  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
  if (!config.empty())
    return fmt::format("{} {}", config.substr(0, config.find(' ', config.find(' ') + 1)), openblas_says("openblas_get_corename"));
  Dl_info info{};
  void* sgemm = ::dlsym(RTLD_DEFAULT, "sgemm_");
  return sgemm != nullptr && ::dladdr(sgemm, &info) != 0 ? info.dli_fname : "built into libtorch";
}

std::string isa_name() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) return "AVX-512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "AVX2";
#endif
  return "baseline";
}

void use_fitting_blas_kernels(char** argv) {
  const std::string isa = isa_name();
  if (openblas_says("openblas_get_corename") != "Prescott" || isa == "baseline" || std::getenv("OPENBLAS_CORETYPE") != nullptr) return;
  ::setenv("OPENBLAS_CORETYPE", isa == "AVX-512" ? "SkylakeX" : "Haswell", 1);
  ::execv("/proc/self/exe", argv);
  ::unsetenv("OPENBLAS_CORETYPE");  // it could not be started again: go on with the slow kernels
}

}  // namespace headstart
