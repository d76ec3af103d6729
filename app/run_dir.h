#pragma once
// The folder of a sampling run: locked while in use, one file a sample, run.json beside them.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace headstart::app {

class RunDir {
 public:
  /// Makes the folder where it is missing and locks it (flock: the lock dies with the process, and leaves no file).
  /// @throws DataError where another process holds it, or where it cannot be made
  explicit RunDir(std::string path);
  ~RunDir();
  RunDir(const RunDir&) = delete;
  RunDir& operator=(const RunDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  bool empty() const;

  /// "000123.png", with `subdirs` "000000/000123.png".
  static std::string sample_name(std::int64_t seed, bool subdirs);

  /// run.json, or an empty object where there is none. @throws DataError where it cannot be read as JSON
  nlohmann::ordered_json read_run() const;
  void write_run(const nlohmann::ordered_json& run) const { write("run.json", run); }
  void write(const std::string& name, const nlohmann::ordered_json& json) const;

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// A JSON file. @throws DataError where it is missing or no JSON
nlohmann::ordered_json read_json(const std::string& path);

}  // namespace headstart::app
