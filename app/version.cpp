#include "version.h"

#include <fmt/format.h>
#include <torch/version.h>

#include <fstream>

#include "headstart/core/blas.h"

namespace headstart::app {
namespace {

std::string shell_word(const std::string& word) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted(1, '\'');
  for (const char c : word) {
    if (c == '\'') quoted += "'\\'";
    quoted += c;
  }
  quoted += '\'';
  return quoted;
}

}  // namespace

std::string version() { return "headstart " + version_number(); }

std::string version_number() {
  return fmt::format("{} (libtorch {}, BLAS {}, ISA {})", HEADSTART_VERSION, TORCH_VERSION, blas_name(), isa_name());
}

std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string line, word;
  while (std::getline(file, word, '\0')) {
    if (!line.empty()) line += ' ';
    line += shell_word(word);
  }
  return line;
}

}  // namespace headstart::app
