#include "headstart/data/image_folder.h"

#include "data_test.h"
#include "headstart/data/png.h"

namespace headstart {
namespace {

void write_pixel(const std::string& path, std::uint8_t pixel) { write_png(path, {1, 1, 1}, std::vector<std::uint8_t>{pixel}); }

TEST(ImageFolder, IsReadRecursivelyInTheOrderOfPaths) {
  const TempDir folder;
  std::filesystem::create_directory(folder / "b");
  std::filesystem::create_directory(folder / "folder.png");
  write_pixel(folder / "c.png", 255);
  write_pixel(folder / "b/2.PNG", 0);
  write_pixel(folder / "a.png", 255);
  write_text(folder / "readme.txt", "not an image");
  const auto stream = open_image_folder(folder.path().string());
  EXPECT_EQ(stream->shape(), (ImageShape{1, 1, 1}));
  EXPECT_EQ(stream->count(), 3);
  EXPECT_TRUE(stream->is_uint8());
  EXPECT_TRUE(stream->labels().empty());
  EXPECT_EQ(read_all(*stream, 2), (std::vector<float>{1, -1, 1}));
  stream->rewind();
  EXPECT_EQ(read_all(*stream, 5), (std::vector<float>{1, -1, 1}));
}

TEST(ImageFolder, RefusesImagesOfAnotherShapeAndNamesTheFirst) {
  const TempDir folder;
  write_pixel(folder / "a.png", 1);
  write_png(folder / "b.png", {1, 1, 2}, std::vector<std::uint8_t>(2));
  write_png(folder / "c.png", {3, 1, 1}, std::vector<std::uint8_t>(3));
  expect_data_error(folder / "b.png", "expected shape 1,1,1 as of " + (folder / "a.png") + ", got 1,1,2",
                    [&] { open_image_folder(folder.path().string()); });
}

TEST(ImageFolder, RefusesMissingAndEmptyFolders) {
  const TempDir folder;
  expect_data_error(folder / "none", "no such file or folder", [&] { open_image_folder(folder / "none"); });
  expect_data_error(folder.path().string(), "holds no PNG files", [&] { open_image_folder(folder.path().string()); });
  write_text(folder / "readme.txt", "not an image");
  expect_data_error(folder.path().string(), "holds no PNG files", [&] { open_image_folder(folder.path().string()); });
  expect_data_error(folder / "readme.txt", "is not a folder", [&] { open_image_folder(folder / "readme.txt"); });
}

TEST(ImageFolder, RefusesAFileThatIsNoPng) {
  const TempDir folder;
  write_text(folder / "a.png", "text");
  expect_data_error(folder / "a.png", "is not a PNG file", [&] { open_image_folder(folder.path().string()); });
}

TEST(ImageFolder, MeetsATruncatedImageWhenItIsRead) {
  const TempDir folder;
  write_pixel(folder / "a.png", 1);
  std::filesystem::resize_file(folder / "a.png", 40);
  const auto stream = open_image_folder(folder.path().string());
  expect_data_error(folder / "a.png", "cannot be decoded as PNG: truncated", [&] { read_all(*stream); });
}

TEST(ImageFolder, AsksForRoomForWholeImages) {
  const TempDir folder;
  write_png(folder / "a.png", {1, 1, 2}, std::vector<std::uint8_t>(2));
  const auto stream = open_image_folder(folder.path().string());
  std::vector<float> room(3);
  expect_error<InvalidArgument>({"[ImageStream::read] expected room for a multiple of 2 values, got 3"}, [&] { stream->read(room); });
}

}  // namespace
}  // namespace headstart
