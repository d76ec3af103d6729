#include "headstart/data/mapped_npy.h"

#include "data_test.h"
#include "headstart/data/npy.h"

namespace headstart {
namespace {

TEST(MappedNpy, HasTheValuesOfTheFile) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const std::vector<float> values{1.5F, -2, 3, 0.25F, 5, 6};
  write_npy(path, {3, 2}, values);
  const auto file = MappedNpy::open(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->shape(), (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(std::vector<float>(file->values().begin(), file->values().end()), values);
}

TEST(MappedNpy, IsNothingWhereTheFileCannotBeUsedAsItLies) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  EXPECT_FALSE(MappedNpy::open(path));                    // missing
  EXPECT_FALSE(MappedNpy::open(folder.path().string()));  // a folder
  write_npy(path, {2}, std::vector<double>{1, 2});
  EXPECT_FALSE(MappedNpy::open(path));
  write_npy(path, {2}, std::vector<float>{1, 2});
  write_gzip(folder / "x.npy.gz", read_text(path));
  EXPECT_FALSE(MappedNpy::open(folder / "x.npy.gz"));
  write_text(path, "text");
  EXPECT_FALSE(MappedNpy::open(path));
}

TEST(MappedNpy, RefusesADamagedFile) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  write_npy(path, {2}, std::vector<float>{1, 2});
  write_text(path, read_text(path).substr(0, 132));
  expect_data_error(path, "truncated", [&] { MappedNpy::open(path); });
}

}  // namespace
}  // namespace headstart
