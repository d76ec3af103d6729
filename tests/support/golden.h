#pragma once
// Values that a script beside them computed with other software.

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace headstart {

/// tests/golden/NAME.json, as NAME.py wrote it.
inline nlohmann::json golden_values(const std::string& name) {
  std::ifstream file(std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / (name + ".json"));
  return nlohmann::json::parse(file);
}

}  // namespace headstart
