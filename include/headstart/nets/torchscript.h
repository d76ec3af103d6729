#pragma once
// TorchScript networks made elsewhere, described by a JSON card beside the file.

#include <memory>
#include <string>

#include "headstart/nets/network.h"

namespace headstart {

/// Loads `path` and the card `path + ".json"` (card.h), which says how the network is called, as f(input [M, C, H, W], time [M]), and what
/// it returns. Turning that into D is in parametrisation.h.
/// @throws DataError where file or card is missing, unreadable or contradicts itself; InvalidArgument for an unknown device and for
///   bfloat16: it computes in the type it was traced in
std::shared_ptr<Network> load_torchscript(const std::string& path, const LoadOptions& options = {});

}  // namespace headstart
