#include "run_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "headstart/data/atomic_file.h"
#include "headstart/error.h"

namespace headstart::app {

RunDir::RunDir(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) throw DataError(path_, "cannot be made or opened as a folder");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error_number = errno;
    ::close(descriptor_);
    throw DataError(path_, error_number == EWOULDBLOCK ? "is in use by another run" : "cannot be locked");
  }
}

RunDir::~RunDir() { ::close(descriptor_); }

bool RunDir::empty() const { return std::filesystem::is_empty(path_); }

std::string RunDir::sample_name(std::int64_t seed, bool subdirs) {
  const std::string name = fmt::format("{:06}.png", seed);
  return subdirs ? fmt::format("{:06}/{}", seed / 1000 * 1000, name) : name;
}

nlohmann::ordered_json RunDir::read_run() const {
  const std::string path = *this / "run.json";
  if (!std::filesystem::exists(path)) return nlohmann::ordered_json::object();
  auto run = read_json(path);
  if (!run.is_object() || run.empty()) throw DataError(path, "expected what sample writes");
  return run;
}

void RunDir::write(const std::string& name, const nlohmann::ordered_json& json) const {
  write_file_atomically(*this / name, json.dump(2) + "\n");
}

nlohmann::ordered_json read_json(const std::string& path) {
  std::ifstream file(path);
  if (!std::filesystem::is_regular_file(path) || !file) throw DataError(path, "no such file");
  try {
    return nlohmann::ordered_json::parse(file);
  } catch (const nlohmann::json::exception& e) {
    throw DataError(path, std::string("expected JSON: ") + e.what());
  }
}

}  // namespace headstart::app
