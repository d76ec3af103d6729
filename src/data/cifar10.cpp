#include "headstart/data/cifar10.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "headstart/data/byte_source.h"
#include "headstart/data/pixels.h"
#include "headstart/error.h"

namespace headstart {

namespace {

namespace fs = std::filesystem;

constexpr ImageShape kShape{.channels = 3, .height = 32, .width = 32};
constexpr std::size_t kRecord = 1 + 3 * 32 * 32;
constexpr int kBatches = 5;
constexpr std::uint8_t kLargestLabel = 9;

std::vector<std::string> batches_of(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {path};
  std::vector<std::string> batches;
  for (int i = 1; i <= kBatches; ++i) batches.push_back((fs::path(path) / fmt::format("data_batch_{}.bin", i)).string());
  return batches;
}

void append_labels(const std::string& path, std::vector<std::int64_t>& labels) {
  const std::int64_t size = require_regular_file(path);
  constexpr auto kStep = static_cast<std::int64_t>(kRecord);
  if (size == 0) throw DataError(path, "is empty");
  if (size % kStep != 0) {
    throw DataError(path, fmt::format("truncated: expected CIFAR-10 records of {} bytes, got {} bytes", kStep, size), size);
  }
  std::ifstream file;
  file.rdbuf()->pubsetbuf(nullptr, 0);  // without a buffer each seek reads its one byte and not the next 8 KiB
  file.open(path, std::ios::binary);
  if (!file) throw DataError(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  for (std::int64_t at = 0; at < size; at += kStep) {
    const int label = file.seekg(at).get();
    if (!file) throw DataError(path, "cannot be read to its end", at);
    if (label > kLargestLabel) throw DataError(path, fmt::format("expected CIFAR-10 labels 0 to {}, got {}", kLargestLabel, label), at);
    labels.push_back(label);
  }
}

class Cifar10Stream final : public ImageStream {
 public:
  explicit Cifar10Stream(const std::string& path) : batches_(batches_of(path)) {
    for (const std::string& batch : batches_) append_labels(batch, labels_);
  }

  const ImageShape& shape() const override { return kShape; }
  std::int64_t count() const override { return static_cast<std::int64_t>(labels_.size()); }
  bool is_uint8() const override { return true; }
  const std::vector<std::int64_t>& labels() const override { return labels_; }

  std::int64_t read(std::span<float> out) override {
    require_room(out);
    std::array<std::uint8_t, kRecord> record{};
    std::int64_t done = 0;
    for (; !out.empty() && next_record(record); ++done, out = out.subspan(kRecord - 1)) {
      to_data_units(std::span(record).subspan(1), out.first(kRecord - 1));
    }
    return done;
  }

  void rewind() override {
    source_.reset();
    batch_ = 0;
  }

 private:
  bool next_record(std::span<std::uint8_t> record) {
    for (; batch_ < batches_.size(); ++batch_, source_.reset()) {
      if (!source_) source_ = open_file_source(batches_[batch_]);
      const std::size_t got = source_->read(std::as_writable_bytes(record));
      if (got == kRecord) return true;
      if (got != 0) throw DataError(batches_[batch_], fmt::format("truncated: expected CIFAR-10 records of {} bytes", kRecord));
    }
    return false;
  }

  std::vector<std::string> batches_;
  std::vector<std::int64_t> labels_;
  std::size_t batch_ = 0;  // the one being read
  std::unique_ptr<ByteSource> source_;
};

}  // namespace

std::unique_ptr<ImageStream> open_cifar10(const std::string& path) { return std::make_unique<Cifar10Stream>(path); }

bool is_cifar10_folder(const std::string& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with("data_batch_") && name.ends_with(".bin")) return true;
  }
  return false;
}

bool looks_like_cifar10(std::span<const std::byte> start, std::int64_t file_size) {
  return !start.empty() && start[0] <= std::byte{kLargestLabel} && file_size % static_cast<std::int64_t>(kRecord) == 0;
}

}  // namespace headstart
