#include "headstart/data/image_stream.h"

#include <algorithm>
#include <cstdlib>

#include "data_test.h"
#include "headstart/data/npy.h"
#include "headstart/data/npz.h"
#include "headstart/data/png.h"

namespace headstart {
namespace {

// Sets HEADSTART_FASHION_MNIST for one test.
class FashionMnistFolder {
 public:
  explicit FashionMnistFolder(const std::string& folder) { ::setenv(kName, folder.c_str(), 1); }
  FashionMnistFolder(const FashionMnistFolder&) = delete;
  FashionMnistFolder& operator=(const FashionMnistFolder&) = delete;
  ~FashionMnistFolder() { had_ ? ::setenv(kName, before_.c_str(), 1) : ::unsetenv(kName); }

 private:
  static constexpr const char* kName = "HEADSTART_FASHION_MNIST";
  bool had_ = std::getenv(kName) != nullptr;
  std::string before_ = had_ ? std::getenv(kName) : "";
};

TEST(OpenImages, RecognisesFormatsByContentAndNotByName) {
  const TempDir folder;
  const std::vector<std::uint8_t> pixels{0, 255};
  const NamedArray array{"samples", view_of<std::uint8_t>({1, 1, 2}, pixels)};
  const std::string idx = idx_bytes({1, 1, 2}, std::string("\0\xFF", 2));
  write_text(folder / "idx.npy", idx);
  write_gzip(folder / "idx.png", idx);
  write_npy(folder / "npy.idx", array.array);
  write_gzip(folder / "npy.bin", read_text(folder / "npy.idx"));
  write_npz(folder / "npz.txt", std::vector{array});
  std::filesystem::create_directory(folder / "folder.npz");
  write_png(folder / "folder.npz/a.png", {1, 1, 2}, pixels);
  for (const char* const name : {"idx.npy", "idx.png", "npy.idx", "npy.bin", "npz.txt", "folder.npz"}) {
    const auto stream = open_images(folder / name);
    EXPECT_EQ(stream->shape(), (ImageShape{1, 1, 2})) << name;
    EXPECT_EQ(read_all(*stream), (std::vector<float>{-1, 1})) << name;
  }
}

TEST(OpenImages, RefusesWhatItDoesNotUnderstandAndListsWhatItDoes) {
  const TempDir folder;
  write_text(folder / "x", "hello, world");
  write_text(folder / "short", std::string("\0", 1));
  write_gzip(folder / "packed", "hello, world");
  for (const char* const name : {"x", "short", "packed"}) {
    expect_error<DataError>(
        {folder / name, "none of the formats understood", "a folder of PNG files", "IDX", ".npy", ".npz", "fashion-mnist-test"},
        [&] { open_images(folder / name); });
  }
}

TEST(OpenImages, RefusesMissingAndEmptyPaths) {
  const TempDir folder;
  expect_data_error(folder / "none", "no such file or folder", [&] { open_images(folder / "none"); });
  expect_data_error(folder.path().string(), "holds no PNG files", [&] { open_images(folder.path().string()); });
  write_text(folder / "empty", "");
  expect_data_error(folder / "empty", "is empty", [&] { open_images(folder / "empty"); });
  write_gzip(folder / "empty", "");
  expect_data_error(folder / "empty", "is empty", [&] { open_images(folder / "empty"); });
}

TEST(OpenImages, NamesThePackageWhereFashionMnistIsMissing) {
  const TempDir folder;
  const FashionMnistFolder set(folder.path().string());
  expect_error<DataError>(
      {folder / "train-images-idx3-ubyte.gz", "install the Debian package dataset-fashion-mnist", "HEADSTART_FASHION_MNIST"},
      [] { open_images("fashion-mnist"); });
  expect_data_error(folder / "t10k-images-idx3-ubyte.gz", "no such file", [] { open_images("fashion-mnist-test"); });
}

TEST(OpenImages, TakesFashionMnistFromAnotherFolder) {
  const TempDir folder;
  const FashionMnistFolder set(folder.path().string());
  write_text(folder / "t10k-images-idx3-ubyte", idx_bytes({1, 1, 2}, std::string("\0\xFF", 2)));
  write_text(folder / "t10k-labels-idx1-ubyte", idx_bytes({1}, "\x04"));
  const auto stream = open_images("fashion-mnist-test");
  EXPECT_EQ(read_all(*stream), (std::vector<float>{-1, 1}));
  EXPECT_EQ(stream->labels(), (std::vector<std::int64_t>{4}));
}

TEST(FashionMnist, HasItsKnownCountsLabelsAndMean) {
  std::unique_ptr<ImageStream> stream;
  try {
    stream = open_images("fashion-mnist");
  } catch (const DataError& error) {
    GTEST_SKIP() << error.what();
  }
  EXPECT_EQ(stream->shape(), (ImageShape{1, 28, 28}));
  EXPECT_EQ(stream->count(), 60000);
  EXPECT_TRUE(stream->is_uint8());
  ASSERT_EQ(stream->labels().size(), 60000U);
  EXPECT_EQ(stream->labels().front(), 9);
  EXPECT_EQ(std::ranges::min(stream->labels()), 0);
  EXPECT_EQ(std::ranges::max(stream->labels()), 9);

  double first_sum = 0;
  for (int pass = 0; pass < 2; ++pass) {
    double sum = 0;
    std::int64_t count = 0;
    std::vector<float> block(1000 * 784);
    while (const std::int64_t got = stream->read(block)) {
      for (std::int64_t i = 0; i < got * 784; ++i) sum += block[static_cast<std::size_t>(i)];
      count += got;
    }
    EXPECT_EQ(count, 60000);
    EXPECT_NEAR(sum / (60000.0 * 784), 2 * 0.2860406 - 1, 1e-6);
    if (pass == 0) first_sum = sum;
    EXPECT_EQ(sum, first_sum);
    stream->rewind();
  }
  EXPECT_EQ(open_images("fashion-mnist-test")->count(), 10000);
}

}  // namespace
}  // namespace headstart
