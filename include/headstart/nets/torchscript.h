#pragma once
// TorchScript networks made elsewhere, described by a JSON card beside the file.

#include <memory>
#include <string>

#include "headstart/nets/network.h"

namespace headstart {

/// Loads `path` and the card `path + ".json"`.
///
/// Known so far: prediction `denoised` with time `sigma` (the identity: out = D(x, sigma)), and prediction `eps` on schedule `vp_linear`
/// with time `step` (D = x - sigma * eps, input x_t = x / sqrt(1 + sigma^2); Ho et al., arXiv 2006.11239). The network is called as f(x,
/// time [B]).
/// @throws DataError where file or card is missing or unreadable; InvalidArgument where the card asks for something else
std::shared_ptr<Network> load_torchscript(const std::string& path, const std::string& device = "cpu");

}  // namespace headstart
