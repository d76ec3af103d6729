#include "headstart/data/image_stream.h"

#include <sys/resource.h>

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
  write_zip(folder / "zip.npz", {{"a.png", read_text(folder / "folder.npz/a.png")}});
  for (const char* const name : {"idx.npy", "idx.png", "npy.idx", "npy.bin", "npz.txt", "folder.npz", "zip.npz"}) {
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
    expect_error<DataError>({folder / name, "none of the formats understood", "a folder or zip of PNG or JPEG files", "IDX", ".npy", ".npz",
                             "CIFAR-10", "fashion-mnist-test"},
                            [&] { open_images(folder / name); });
  }
}

TEST(OpenImages, RefusesMissingAndEmptyPaths) {
  const TempDir folder;
  expect_data_error(folder / "none", "no such file or folder", [&] { open_images(folder / "none"); });
  expect_data_error(folder.path().string(), "holds no PNG or JPEG files", [&] { open_images(folder.path().string()); });
  write_text(folder / "empty", "");
  expect_data_error(folder / "empty", "is empty", [&] { open_images(folder / "empty"); });
  write_gzip(folder / "empty", "");
  expect_data_error(folder / "empty", "is empty", [&] { open_images(folder / "empty"); });
}

// A red and a green pixel, and what they are as grey.
const std::vector<float> kColours{1, -1, -1, 1, -1, -1};
const std::vector<float> kGreys{76 / 127.5F - 1, 150 / 127.5F - 1};

TEST(OpenImages, GivesTheSamePicturesAsGreyOrRgbWhateverTheForm) {
  const TempDir folder;
  const std::vector<std::uint8_t> chw{255, 0, 0, 255, 0, 0}, hwc{255, 0, 0, 0, 255, 0};
  write_npy(folder / "nchw.npy", view_of<std::uint8_t>({1, 3, 1, 2}, chw));
  write_npy(folder / "nhwc.npy", view_of<std::uint8_t>({1, 1, 2, 3}, hwc));
  const std::vector<std::int64_t> label{5};
  write_npz(folder / "x.npz",
            std::vector<NamedArray>{{"images", view_of<std::uint8_t>({1, 3, 1, 2}, chw)}, {"labels", view_of<std::int64_t>({1}, label)}});
  std::filesystem::create_directory(folder / "folder");
  write_png(folder / "folder/a.png", {3, 1, 2}, chw);
  for (const char* const name : {"nchw.npy", "nhwc.npy", "x.npz", "folder"}) {
    EXPECT_EQ(read_all(*open_images(folder / name)), kColours) << name;
    EXPECT_EQ(read_all(*open_images(folder / name, {.as = PixelsAs::rgb})), kColours) << name;
    const auto grey = open_images(folder / name, {.as = PixelsAs::grey});
    EXPECT_EQ(grey->shape(), (ImageShape{1, 1, 2})) << name;
    EXPECT_EQ(read_all(*grey), kGreys) << name;
    grey->rewind();
    EXPECT_EQ(read_all(*grey, 5), kGreys) << name;
  }
  EXPECT_EQ(open_images(folder / "x.npz", {.as = PixelsAs::grey})->labels(), label);
  write_npy(folder / "grey.npy", view_of<std::uint8_t>({2, 1, 2}, std::vector<std::uint8_t>{0, 255, 255, 0}));
  const auto colour = open_images(folder / "grey.npy", {.as = PixelsAs::rgb});
  EXPECT_EQ(colour->shape(), (ImageShape{3, 1, 2}));
  EXPECT_EQ(colour->count(), 2);
  EXPECT_EQ(read_all(*colour), (std::vector<float>{-1, 1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1}));
}

TEST(OpenImages, ConvertsNoFloats) {
  const TempDir folder;
  write_npy(folder / "x.npy", view_of<float>({1, 3, 1, 1}, std::vector<float>{1, 2, 3}));
  expect_error<InvalidArgument>({"--as: expected 8-bit pictures, but " + (folder / "x.npy") + " holds floats"},
                                [&] { open_images(folder / "x.npy", {.as = PixelsAs::grey}); });
}

// A sparse file: it takes no room on the disk, and would take a gigabyte of memory.
TEST(OpenImages, HoldsLittleOfALargeFile) {
  const TempDir folder;
  constexpr std::int64_t kCount = 87381, kDim = 3072;
  const std::string header = encode_npy_header(DType::F32, std::vector<std::int64_t>{kCount, kDim});
  write_text(folder / "x.npy", header);
  std::filesystem::resize_file(folder / "x.npy", header.size() + 4 * kCount * kDim);
  const auto peak_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto stream = open_images(folder / "x.npy");
  std::vector<float> block(256 * kDim);
  const auto before = peak_kib();
  std::int64_t count = 0;
  while (const std::int64_t got = stream->read(block)) count += got;
  EXPECT_EQ(count, kCount);
  EXPECT_LT(peak_kib() - before, 16 << 10);
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
