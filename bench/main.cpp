// Google Benchmark's main with the BLAS kernels and threads that the command uses, said in the output's context.

#include <benchmark/benchmark.h>

#include <thread>

#include "headstart/core/blas.h"
#include "headstart/core/parallel.h"

int main(int argc, char** argv) {
  headstart::use_fitting_blas_kernels(argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  headstart::set_threads(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  benchmark::AddCustomContext("blas", headstart::blas_name());
  benchmark::AddCustomContext("isa", headstart::isa_name());
  benchmark::AddCustomContext("threads", std::to_string(headstart::threads()));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
