#pragma once
// TorchScript files and how they fail: what networks and feature spaces made elsewhere have in common.

#include <torch/script.h>

#include <functional>
#include <string>

namespace headstart {

/// Loads a TorchScript file in evaluation mode. @throws DataError where it is none, with the last line of what libtorch says
torch::jit::Module load_script(const std::string& path, const torch::Device& device = torch::kCPU);

/// Calls a script so that its first calls run on the same code as its later ones: results would depend on that otherwise.
/// @param failure  what the message says before libtorch's last line
/// @throws DataError where the script fails
torch::jit::IValue call_script(const std::string& path, const std::string& failure, const std::function<torch::jit::IValue()>& call);

}  // namespace headstart
