#include "headstart/data/prefetch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <thread>

#include "data_test.h"

namespace headstart {
namespace {

// Counts: image i is filled with i. May fail at one image, be slow, and say how far it was read.
struct Behaviour {
  std::int64_t count = 0;
  ImageShape shape{1, 1, 3};
  std::int64_t fails_at = -1;
  std::int64_t slow_from = -1;  // a millisecond an image
  std::atomic<std::int64_t> images_read{0};
  std::atomic<int> readers{0};  // inside read() at the same time
  std::atomic<bool> overlapped{false};
};

class Counting final : public ImageStream {
 public:
  explicit Counting(Behaviour& behaviour) : behaviour_(behaviour) {}
  const ImageShape& shape() const override { return behaviour_.shape; }
  std::int64_t count() const override { return behaviour_.count; }
  bool is_uint8() const override { return false; }
  const std::vector<std::int64_t>& labels() const override { return labels_; }
  void rewind() override {
    if (behaviour_.readers != 0) behaviour_.overlapped = true;
    next_ = 0;
  }
  std::int64_t read(std::span<float> out) override {
    require_room(out);
    if (++behaviour_.readers != 1) behaviour_.overlapped = true;
    const auto dim = static_cast<std::size_t>(behaviour_.shape.dim());
    std::int64_t done = 0;
    for (; !out.empty() && next_ < behaviour_.count; ++done, ++next_, out = out.subspan(dim)) {
      if (next_ == behaviour_.fails_at) {
        --behaviour_.readers;
        throw DataError("counting", "cannot be read", next_);
      }
      if (behaviour_.slow_from >= 0 && next_ >= behaviour_.slow_from) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::ranges::fill(out.first(dim), static_cast<float>(next_));
      ++behaviour_.images_read;
    }
    --behaviour_.readers;
    return done;
  }

 private:
  Behaviour& behaviour_;
  std::vector<std::int64_t> labels_{7};
  std::int64_t next_ = 0;
};

std::unique_ptr<ImageStream> counting(Behaviour& behaviour) { return prefetched(std::make_unique<Counting>(behaviour)); }

void expect_counts_to(std::int64_t count, const std::vector<float>& values, std::int64_t dim) {
  ASSERT_EQ(values.size(), static_cast<std::size_t>(count * dim));
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<float>(i / static_cast<std::size_t>(dim)));
}

TEST(Prefetched, GivesTheSameImagesWhateverTheSizesOfReads) {
  Behaviour behaviour{.count = 5000, .shape = {1, 1, 1000}};  // five blocks
  const auto stream = counting(behaviour);
  for (const std::int64_t images : {1, 7, 1048, 1049, 4999, 5000, 6000}) {
    expect_counts_to(5000, read_all(*stream, images), 1000);
    std::vector<float> more(1000);
    EXPECT_EQ(stream->read(more), 0);
    EXPECT_EQ(stream->read(more), 0);
    stream->rewind();
  }
  EXPECT_FALSE(behaviour.overlapped);
}

TEST(Prefetched, HandlesImagesLargerThanItsBlocks) {
  Behaviour behaviour{.count = 3, .shape = {3, 700, 700}};
  const auto stream = counting(behaviour);
  expect_counts_to(3, read_all(*stream, 2), 3 * 700 * 700);
}

TEST(Prefetched, IsAnsweredByTheStreamItself) {
  Behaviour behaviour{.count = 4};
  const auto stream = counting(behaviour);
  EXPECT_EQ(stream->shape(), (ImageShape{1, 1, 3}));
  EXPECT_EQ(stream->count(), 4);
  EXPECT_FALSE(stream->is_uint8());
  EXPECT_EQ(stream->labels(), (std::vector<std::int64_t>{7}));
  std::vector<float> room(4);
  expect_error<InvalidArgument>({"expected room for a multiple of 3 values, got 4"}, [&] { stream->read(room); });
  EXPECT_EQ(behaviour.images_read, 0) << "nothing is read before it is asked for";
}

TEST(Prefetched, ReadsAheadWhileTheCallerIsBusyAndNoFurtherThanItsBlocks) {
  Behaviour behaviour{.count = 10000, .shape = {1, 1, 1 << 16}};  // 16 images a block
  const auto stream = counting(behaviour);
  std::vector<float> one(1 << 16);
  ASSERT_EQ(stream->read(one), 1);
  // Without another read it gets this far by itself (or the test never ends), and stays there.
  while (behaviour.images_read < 48) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(behaviour.images_read, 48);
}

TEST(Prefetched, ThrowsAtTheVeryImageThatCannotBeRead) {
  for (const std::int64_t bad : {0, 1, 100, 1047, 1048, 1049, 1999}) {
    Behaviour behaviour{.count = 2000, .shape = {1, 1, 1000}, .fails_at = bad};
    const auto stream = counting(behaviour);
    std::vector<float> one(1000);
    for (std::int64_t i = 0; i < bad; ++i) ASSERT_EQ(stream->read(one), 1) << i;
    for (int again = 0; again < 2; ++again) {
      expect_error<DataError>({"counting: cannot be read (at byte " + std::to_string(bad) + ")"}, [&] { stream->read(one); });
    }
  }
}

TEST(Prefetched, NeverThrowsOfAnImageThatNobodyAskedFor) {
  Behaviour behaviour{.count = 2000, .fails_at = 10};
  const auto stream = counting(behaviour);
  std::vector<float> ten(30);
  EXPECT_EQ(stream->read(ten), 10);
}

TEST(Prefetched, CanBeRewoundAfterAnErrorAndInTheMiddle) {
  Behaviour behaviour{.count = 3000, .shape = {1, 1, 1000}, .fails_at = 2500};
  const auto stream = counting(behaviour);
  EXPECT_THROW(read_all(*stream, 100), DataError);
  behaviour.fails_at = -1;
  stream->rewind();
  expect_counts_to(3000, read_all(*stream, 100), 1000);
  std::vector<float> some(5000);
  for (int round = 0; round < 50; ++round) {
    stream->rewind();
    ASSERT_EQ(stream->read(some), 5);
    ASSERT_EQ(some.back(), 4);
  }
  stream->rewind();
  expect_counts_to(3000, read_all(*stream, 2999), 1000);
  EXPECT_FALSE(behaviour.overlapped);
}

TEST(Prefetched, CanBeDestroyedAtAnyTime) {
  std::vector<float> one(1000);
  for (int round = 0; round < 200; ++round) {
    Behaviour behaviour{.count = 1'000'000, .shape = {1, 1, 1000}, .fails_at = round % 3 == 0 ? 1 : -1};
    const auto stream = counting(behaviour);
    if (round % 4 == 0) continue;  // never read
    stream->read(one);
    for (int i = 0; i < round; ++i) std::this_thread::yield();
  }
}

TEST(Prefetched, StopsInTheMiddleOfABlock) {
  // The second block would take five minutes.
  Behaviour behaviour{.count = 1'000'000, .slow_from = 400'000};
  const auto stream = counting(behaviour);
  std::vector<float> one(3);
  ASSERT_EQ(stream->read(one), 1);
  while (behaviour.images_read < 400'001) std::this_thread::yield();
  stream->rewind();
  ASSERT_EQ(stream->read(one), 1);
}

TEST(Prefetched, ServesManyStreamsAtOnce) {
  std::vector<std::jthread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&right] {
      Behaviour behaviour{.count = 3000, .shape = {1, 1, 1000}};
      const auto stream = counting(behaviour);
      for (int pass = 0; pass < 3; ++pass, stream->rewind()) {
        const std::vector<float> values = read_all(*stream, 64);
        double sum = 0;
        for (const float value : values) sum += value;
        if (sum == 1000.0 * 3000 * 2999 / 2) ++right;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(right, 24);
}

TEST(Prefetched, CarriesAnyExceptionOver) {
  class Broken final : public ImageStream {
   public:
    const ImageShape& shape() const override { return shape_; }
    std::int64_t count() const override { return 1; }
    bool is_uint8() const override { return true; }
    const std::vector<std::int64_t>& labels() const override { return labels_; }
    void rewind() override {}
    std::int64_t read(std::span<float>) override { throw std::bad_alloc(); }

   private:
    ImageShape shape_{1, 1, 1};
    std::vector<std::int64_t> labels_;
  };
  const auto stream = prefetched(std::make_unique<Broken>());
  std::vector<float> one(1);
  EXPECT_THROW(stream->read(one), std::bad_alloc);
}

}  // namespace
}  // namespace headstart
