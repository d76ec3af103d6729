#include "headstart/nets/script.h"

#include "headstart/error.h"

namespace headstart {
namespace {

/// libtorch's messages run over many lines; the last one says what is wrong.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.find_last_of('\n') + 1);
}

template <class Work>
auto or_data_error(const std::string& path, const std::string& failure, const Work& work) {
  try {
    return work();
  } catch (const c10::Error& e) {
    throw DataError(path, failure + ": " + last_line(e.what_without_backtrace()));
  } catch (const std::exception& e) {  // code that does not parse, and what a script raises or asserts, is no c10::Error
    throw DataError(path, failure + ": " + last_line(e.what()));
  }
}

}  // namespace

torch::jit::Module load_script(const std::string& path, const torch::Device& device) {
  auto module = or_data_error(path, "expected a TorchScript file", [&] { return torch::jit::load(path, device); });
  module.eval();
  return module;
}

torch::jit::IValue call_script(const std::string& path, const std::string& failure, const std::function<torch::jit::IValue()>& call) {
  const torch::jit::GraphOptimizerEnabledGuard plain(false);  // no profiling executor
  return or_data_error(path, failure, call);
}

}  // namespace headstart
