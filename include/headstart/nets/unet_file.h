#pragma once
// The project's own networks in safetensors files: architecture and range as metadata, parameters by name.

#include <map>
#include <memory>
#include <string>

#include "headstart/nets/classifier.h"
#include "headstart/nets/network.h"
#include "headstart/nets/song_unet.h"

namespace headstart {

/// What a U-Net's file says beside its weights.
struct UNetFileInfo {
  double sigma_data = 0.5;
  double sigma_min = 0.002, sigma_max = 80;
  double range_low = -1, range_high = 1;
  std::map<std::string, std::string> training{};  ///< free text, prefixed "train_" in the metadata
};

/// Writes atomically. @throws DataError where the file cannot be written
void save_unet(const std::string& path, SongUNet network, const UNetFileInfo& info);

/// EDM-preconditioned denoiser from a file that save_unet wrote. @throws DataError where it is none, or a weight is missing or misshaped
std::shared_ptr<Network> load_unet(const std::string& path, const LoadOptions& options = {});

/// The network itself as a denoiser: what load_unet gives for its file. It shares the weights and is used in evaluation mode.
std::shared_ptr<Network> denoiser_of(SongUNet network, const UNetFileInfo& info);

void save_classifier(const std::string& path, Classifier network, const std::map<std::string, std::string>& training);
/// @throws DataError as load_unet
Classifier load_classifier(const std::string& path);

}  // namespace headstart
