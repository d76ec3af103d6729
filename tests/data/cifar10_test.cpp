#include "headstart/data/cifar10.h"

#include "data_test.h"

namespace headstart {
namespace {

// A record whose pixels are the same within a channel.
std::string record(int label, int red, int green, int blue) {
  std::string bytes(1, static_cast<char>(label));
  for (const int value : {red, green, blue}) bytes += std::string(1024, static_cast<char>(value));
  return bytes;
}

std::string batch_name(int i) { return "data_batch_" + std::to_string(i) + ".bin"; }

// Five batches, batch i with i records labelled i.
void write_batches(const TempDir& folder) {
  for (int i = 1; i <= 5; ++i) {
    std::string bytes;
    for (int k = 0; k < i; ++k) bytes += record(i, 10 * i, k, 255);
    write_text(folder / batch_name(i), bytes);
  }
  write_text(folder / "test_batch.bin", record(9, 0, 0, 0));
  write_text(folder / "batches.meta.txt", "airplane\n");
}

TEST(Cifar10File, IsStreamedChannelAfterChannelWithItsLabels) {
  const TempDir folder;
  write_text(folder / "test_batch.bin", record(3, 0, 51, 255) + record(9, 255, 0, 0));
  const auto stream = open_images(folder / "test_batch.bin");
  EXPECT_EQ(stream->shape(), (ImageShape{3, 32, 32}));
  EXPECT_EQ(stream->count(), 2);
  EXPECT_TRUE(stream->is_uint8());
  EXPECT_EQ(stream->labels(), (std::vector<std::int64_t>{3, 9}));
  const std::vector<float> values = read_all(*stream, 1);
  ASSERT_EQ(values.size(), 6144U);
  EXPECT_EQ(values[1023], -1);
  EXPECT_FLOAT_EQ(values[1024], 51 / 127.5F - 1);
  EXPECT_EQ(values[3071], 1);
  EXPECT_EQ(values[3072], 1);
  stream->rewind();
  EXPECT_EQ(read_all(*stream, 5), values);
}

TEST(Cifar10Folder, IsItsFiveTrainingBatchesInOrder) {
  const TempDir folder;
  write_batches(folder);
  const auto stream = open_images(folder.path().string());
  EXPECT_EQ(stream->count(), 15);
  EXPECT_EQ(stream->labels(), (std::vector<std::int64_t>{1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5}));
  for (const std::int64_t images : {1, 4, 100}) {
    const std::vector<float> values = read_all(*stream, images);
    ASSERT_EQ(values.size(), 15U * 3072);
    for (std::size_t i = 0; i < 15; ++i) {
      EXPECT_FLOAT_EQ(values[i * 3072], 10 * static_cast<float>(stream->labels()[i]) / 127.5F - 1);
    }
    stream->rewind();
  }
}

TEST(Cifar10Folder, RefusesAMissingBatch) {
  const TempDir folder;
  write_batches(folder);
  std::filesystem::remove(folder / batch_name(4));
  expect_data_error(folder / batch_name(4), "no such file or folder", [&] { open_images(folder.path().string()); });
}

TEST(Cifar10Folder, RefusesATruncatedOrEmptyBatch) {
  const TempDir folder;
  write_batches(folder);
  std::filesystem::resize_file(folder / batch_name(2), 4000);
  expect_data_error(folder / batch_name(2), "truncated: expected CIFAR-10 records of 3073 bytes, got 4000 bytes",
                    [&] { open_images(folder.path().string()); });
  std::filesystem::resize_file(folder / batch_name(2), 0);
  expect_data_error(folder / batch_name(2), "is empty", [&] { open_images(folder.path().string()); });
}

TEST(Cifar10File, RefusesALabelThatIsNone) {
  const TempDir folder;
  write_text(folder / "x.bin", record(3, 0, 0, 0) + record(17, 0, 0, 0));
  expect_data_error(folder / "x.bin", "expected CIFAR-10 labels 0 to 9, got 17 (at byte 3073)", [&] { open_images(folder / "x.bin"); });
}

TEST(Cifar10File, CutShortIsNotTakenForAnythingElse) {
  const TempDir folder;
  write_text(folder / "x.bin", record(3, 0, 0, 0).substr(0, 3000));
  expect_data_error(folder / "x.bin", "CIFAR-10 batches (records of 3073 bytes)", [&] { open_images(folder / "x.bin"); });
}

TEST(Cifar10File, ThatStartsLikeIdxIsNotTakenForIt) {
  const TempDir folder;
  std::string bytes = record(0, 0, 0, 0);
  bytes[2] = 8;
  bytes[3] = 3;
  write_text(folder / "x.bin", bytes);
  EXPECT_EQ(open_images(folder / "x.bin")->shape(), (ImageShape{3, 32, 32}));
  // And IDX of that very length stays IDX: 4 + 3 * 4 + 3057 bytes.
  write_text(folder / "x.idx", idx_bytes({3, 1, 1019}, std::string(3057, '\1')));
  EXPECT_EQ(open_images(folder / "x.idx")->shape(), (ImageShape{1, 1, 1019}));
}

TEST(Cifar10File, CutWhileItIsReadIsAnError) {
  const TempDir folder;
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += record(3, 0, 0, 0);
  write_text(folder / "x.bin", bytes);
  const auto stream = open_images(folder / "x.bin");
  std::filesystem::resize_file(folder / "x.bin", 3073 * 90 + 5);
  expect_data_error(folder / "x.bin", "truncated: expected CIFAR-10 records of 3073 bytes", [&] { read_all(*stream); });
}

}  // namespace
}  // namespace headstart
