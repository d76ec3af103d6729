#pragma once
// Which kernels the BLAS under libtorch runs on: an older OpenBLAS on a newer processor quietly falls back to its slowest.

#include <string>

namespace headstart {

/// "OpenBLAS 0.3.21 SkylakeX", or the file of whatever library provides sgemm.
std::string blas_name();

/// The widest instruction set this machine has, of those the project has kernels for: "AVX-512", "AVX2" or "baseline".
std::string isa_name();

/// OpenBLAS chooses its kernels when it is loaded, from a list of processors that ends with its release date; one that is newer gets the
/// kernels of 2004 (Prescott, SSE3), at a tenth of the speed. Where that has happened, this starts the program again with OPENBLAS_CORETYPE
/// set to what the processor can do, and does not return. Otherwise, and where the user has set OPENBLAS_CORETYPE, it does nothing. To be
/// called first in main.
void use_fitting_blas_kernels(char** argv);

}  // namespace headstart
