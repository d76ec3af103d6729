#pragma once
#include <string>

namespace headstart::app {

/// "headstart 0.1.0 (libtorch 1.13.1, BLAS ..., ISA ...)"
std::string version();

/// The same without the name.
std::string version_number();

/// The command line of this process as a shell would read it again.
std::string command_line();

}  // namespace headstart::app
