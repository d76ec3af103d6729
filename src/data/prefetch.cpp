#include "headstart/data/prefetch.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace headstart {

namespace {

struct Block {
  std::vector<float> values;
  bool last = false;
  std::exception_ptr error{};  // what ended the stream, where it did not end well
};

class PrefetchedStream final : public ImageStream {
 public:
  explicit PrefetchedStream(std::unique_ptr<ImageStream> stream) : stream_(std::move(stream)) {}

  const ImageShape& shape() const override { return stream_->shape(); }
  std::int64_t count() const override { return stream_->count(); }
  bool is_uint8() const override { return stream_->is_uint8(); }
  const std::vector<std::int64_t>& labels() const override { return stream_->labels(); }

  std::int64_t read(std::span<float> out) override {
    require_room(out);
    if (!worker_.joinable()) worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
    const std::size_t room = out.size();
    while (!out.empty()) {
      if (used_ == front_.values.size()) {
        if (front_.error) std::rethrow_exception(front_.error);
        if (front_.last) break;
        take_block();
      }
      const std::size_t count = std::min(out.size(), front_.values.size() - used_);
      std::copy_n(front_.values.data() + used_, count, out.data());
      used_ += count;
      out = out.subspan(count);
    }
    return static_cast<std::int64_t>(room - out.size()) / shape().dim();
  }

  void rewind() override {
    worker_ = {};  // asks it to stop, and waits
    ready_.reset();
    front_ = {};
    used_ = 0;
    stream_->rewind();
  }

 private:
  void take_block() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready_.has_value(); });
    front_ = *std::exchange(ready_, std::nullopt);
    used_ = 0;
    changed_.notify_one();
  }

  void work(const std::stop_token& stop) {
    for (bool last = false; !last;) {
      Block block = read_block(stop);
      last = block.last;
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return !ready_; })) return;
      ready_ = std::move(block);
      changed_.notify_one();
    }
  }

  // Image by image, so that those before one that cannot be read are there.
  Block read_block(const std::stop_token& stop) {
    Block block;
    const auto dim = static_cast<std::size_t>(shape().dim());
    std::size_t done = 0;
    try {
      block.values.resize(std::max<std::size_t>(std::min(kBlock / dim, static_cast<std::size_t>(count())), 1) * dim);
      for (; done < block.values.size() && !stop.stop_requested(); done += dim) {
        if (stream_->read(std::span(block.values).subspan(done, dim)) == 0) {
          block.last = true;
          break;
        }
      }
    } catch (...) {
      block.error = std::current_exception();
      block.last = true;
    }
    block.values.resize(done);
    return block;
  }

  static constexpr std::size_t kBlock = 1 << 20;  // values

  std::unique_ptr<ImageStream> stream_;  // the worker's while it runs; what does not change may be asked all the same
  Block front_;                          // being handed out
  std::size_t used_ = 0;                 // values of it
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Block> ready_;  // guarded by mutex_
  std::jthread worker_;         // after what it uses: stopped and joined first
};

}  // namespace

std::unique_ptr<ImageStream> prefetched(std::unique_ptr<ImageStream> stream) {
  return std::make_unique<PrefetchedStream>(std::move(stream));
}

}  // namespace headstart
