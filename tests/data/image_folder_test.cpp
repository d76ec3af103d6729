#include "headstart/data/image_folder.h"

#include <optional>

#include "data_test.h"
#include "headstart/data/png.h"
#include "jpeg_fixture.h"

namespace headstart {
namespace {

std::string png(const ImageShape& shape, const std::vector<std::uint8_t>& chw) {
  const std::vector<std::uint8_t> bytes = encode_png(shape, chw);
  return {bytes.begin(), bytes.end()};
}

std::string pixel(std::uint8_t value) { return png({1, 1, 1}, {value}); }

// The same files as a folder or as a zip: all that is true of one is true of the other.
class ImageSet : public testing::TestWithParam<bool> {
 protected:
  using Members = std::vector<std::pair<std::string, std::string>>;

  std::unique_ptr<ImageStream> open(const Members& members, PixelsAs as = PixelsAs::stored) {
    folder_.emplace();
    if (GetParam()) {
      write_zip(set(), members);
      return open_image_zip(set(), as);
    }
    std::filesystem::create_directory(set());
    for (const auto& [name, bytes] : members) {
      std::filesystem::create_directories(std::filesystem::path(set() + "/" + name).parent_path());
      write_text(set() + "/" + name, bytes);
    }
    return open_image_folder(set(), as);
  }

  std::string set() const { return *folder_ / "set"; }

  // What messages call a member.
  std::string at(const std::string& name) const { return GetParam() ? set() + "[" + name + "]" : set() + "/" + name; }

  void expect_refused(const Members& members, const std::string& name, const std::string& part, PixelsAs as = PixelsAs::stored,
                      std::source_location where = std::source_location::current()) {
    try {
      open(members, as);
    } catch (const DataError& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find(name.empty() ? set() : at(name)), 0U) << message << " at " << where.line();
      EXPECT_NE(message.find(part), std::string::npos) << message << " at " << where.line();
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      return;
    }
    ADD_FAILURE() << "nothing was thrown at " << where.line();
  }

 private:
  std::optional<TempDir> folder_;
};

INSTANTIATE_TEST_SUITE_P(, ImageSet, testing::Bool(), [](const auto& test) { return test.param ? "Zip" : "Folder"; });

TEST_P(ImageSet, IsReadRecursivelyInTheOrderOfPaths) {
  const auto stream = open({{"c.png", pixel(255)}, {"b/2.PNG", pixel(0)}, {"readme.txt", "not an image"}, {"a.png", pixel(51)}});
  EXPECT_EQ(stream->shape(), (ImageShape{1, 1, 1}));
  EXPECT_EQ(stream->count(), 3);
  EXPECT_TRUE(stream->is_uint8());
  EXPECT_TRUE(stream->labels().empty());
  const std::vector<float> expected{51 / 127.5F - 1, -1, 1};
  EXPECT_EQ(read_all(*stream, 2), expected);
  stream->rewind();
  EXPECT_EQ(read_all(*stream, 5), expected);
}

TEST_P(ImageSet, TellsPngFromJpegByContent) {
  const std::string jpeg = jpeg_bytes({1, 1, 1}, {100});
  const auto stream = open({{"a.png", jpeg}, {"b.jpg", pixel(100)}, {"c.JPEG", jpeg}, {"d.Jpg", jpeg}});
  EXPECT_EQ(read_all(*stream), std::vector<float>(4, 100 / 127.5F - 1));
}

TEST_P(ImageSet, TakesAJpegWhoseSizeStandsFarFromItsStart) {
  const auto stream = open({{"a.jpg", jpeg_bytes({1, 1, 1}, {100}, {.comment = 200000})}});
  EXPECT_EQ(read_all(*stream), (std::vector<float>{100 / 127.5F - 1}));
}

TEST_P(ImageSet, RefusesImagesOfAnotherSizeAndNamesBoth) {
  expect_refused({{"a.png", pixel(1)}, {"b.png", png({1, 1, 2}, {1, 2})}, {"c.png", pixel(1)}}, "b.png", "expected shape 1,1,1 as of");
  expect_refused({{"a.png", pixel(1)}, {"b.jpg", jpeg_bytes({1, 2, 1}, {1, 2})}}, "b.jpg", "a.png");
  expect_refused({{"a.png", pixel(1)}, {"b.jpg", jpeg_bytes({1, 2, 1}, {1, 2})}}, "b.jpg", "got 1,2,1");
}

TEST_P(ImageSet, MixesGreyAndRgbOnlyOnRequest) {
  const Members members{{"a.png", pixel(255)}, {"b.png", png({3, 1, 1}, {255, 0, 0})}};
  expect_refused(members, "b.png", "got 3,1,1; grey and RGB are mixed only on request (--as grey or --as rgb)");
  EXPECT_EQ(read_all(*open(members, PixelsAs::grey)), (std::vector<float>{1, 76 / 127.5F - 1}));
  const auto colour = open(members, PixelsAs::rgb);
  EXPECT_EQ(colour->shape(), (ImageShape{3, 1, 1}));
  EXPECT_EQ(read_all(*colour), (std::vector<float>{1, 1, 1, 1, -1, -1}));
}

TEST_P(ImageSet, RefusesFilesThatAreNoPictures) {
  expect_refused({{"a.png", "text"}}, "a.png", "is not a PNG or JPEG file");
  expect_refused({{"a.png", pixel(1)}, {"b.jpg", ""}}, "b.jpg", "is empty");
  expect_refused({{"a.jpg", std::string(5000, '\xFF')}}, "a.jpg", "cannot be decoded as JPEG");
  expect_refused({{"readme.txt", "not an image"}}, "", "holds no PNG or JPEG files");
}

TEST_P(ImageSet, MeetsATruncatedPictureWhenItIsRead) {
  const std::string jpeg = jpeg_bytes({1, 1, 1}, {100});
  const auto a = open({{"a.png", pixel(1).substr(0, 40)}});
  expect_data_error(at("a.png"), "cannot be decoded as PNG: truncated", [&] { read_all(*a); });
  const auto b = open({{"b.jpg", jpeg.substr(0, jpeg.size() - 2)}});
  expect_data_error(at("b.jpg"), "cannot be decoded as JPEG: truncated", [&] { read_all(*b); });
}

TEST_P(ImageSet, AsksForRoomForWholeImages) {
  const auto stream = open({{"a.png", png({1, 1, 2}, {1, 2})}});
  std::vector<float> room(3);
  expect_error<InvalidArgument>({"[ImageStream::read] expected room for a multiple of 2 values, got 3"}, [&] { stream->read(room); });
}

TEST_P(ImageSet, HasTheLabelsOfDatasetJsonInTheOrderOfItsImages) {
  const auto labels = [&](const std::string& json) {
    return open({{"00000/b.png", pixel(1)}, {"dataset.json", json}, {"00000/a.png", pixel(2)}})->labels();
  };
  EXPECT_EQ(labels(R"({"labels": [["00000/b.png", 3], ["00000/a.png", 0]]})"), (std::vector<std::int64_t>{0, 3}));
  EXPECT_TRUE(labels(R"({"labels": null})").empty());
}

TEST_P(ImageSet, RefusesLabelsThatAreNotOneAnImage) {
  const auto refused = [&](const std::string& json, const std::string& part, std::source_location where = std::source_location::current()) {
    expect_refused({{"a.png", pixel(1)}, {"dataset.json", json}}, "dataset.json", part, PixelsAs::stored, where);
  };
  refused("{", "is not valid JSON (at byte");
  refused("[1]", "expected an object with the key labels");
  refused(R"({"label": []})", "expected an object with the key labels");
  refused(R"({"labels": 3})", "expected labels to be a list of [name, class], or null");
  for (const char* const entry : {R"("a.png")", R"(["a.png"])", R"(["a.png", -1])", R"(["a.png", 1.5])", R"(["a.png", [0, 1]])",
                                  R"([3, "a.png"])", R"(["a.png", 18446744073709551615])"}) {
    refused(R"({"labels": [)" + std::string(entry) + "]}", "expected labels [name, class] with a class >= 0, got ");
  }
  refused(R"({"labels": []})", "has no label of a.png");
  refused(R"({"labels": [["a.png", 1], ["a.png", 1]]})", "has two labels of a.png");
  refused(R"({"labels": [["a.png", 1], ["b.png", 1]]})", "has a label of b.png, which is not there");
}

TEST(ImageFolder, IgnoresFoldersThatAreCalledLikePictures) {
  const TempDir folder;
  std::filesystem::create_directory(folder / "folder.png");
  write_text(folder / "a.png", pixel(255));
  EXPECT_EQ(open_image_folder(folder.path().string())->count(), 1);
  EXPECT_EQ(open_image_folder(folder.path().string() + "/")->count(), 1);
}

TEST(ImageFolder, RefusesMissingFoldersAndFiles) {
  const TempDir folder;
  expect_data_error(folder / "none", "no such file or folder", [&] { open_image_folder(folder / "none"); });
  expect_data_error(folder.path().string(), "holds no PNG or JPEG files", [&] { open_image_folder(folder.path().string()); });
  write_text(folder / "readme.txt", "not an image");
  expect_data_error(folder / "readme.txt", "is not a folder", [&] { open_image_folder(folder / "readme.txt"); });
}

TEST(ImageZip, RefusesWhatIsNoWholeZip) {
  const TempDir folder;
  const std::string path = folder / "x.zip";
  expect_data_error(path, "no such file or folder", [&] { open_image_zip(path); });
  write_zip(path, {{"a.png", pixel(1)}, {"b.png", pixel(2)}});
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 10);
  expect_data_error(path, "is not a complete zip file", [&] { open_images(path); });
  write_text(path, "");
  expect_data_error(path, "is empty", [&] { open_images(path); });
  write_zip(path, {{"readme.txt", "hello"}});
  expect_data_error(path, "holds no PNG or JPEG files", [&] { open_images(path); });
}

TEST(ImageZip, NamesTheMemberThatIsDamaged) {
  const TempDir folder;
  const std::string path = folder / "x.zip";
  write_zip(path, {{"a.png", pixel(1)}, {"b.png", pixel(2)}}, ZIP_CM_STORE);
  std::string bytes = read_text(path);
  const std::size_t second = bytes.find("b.png");
  bytes[second + 60] = static_cast<char>(bytes[second + 60] ^ 1);
  write_text(path, bytes);
  expect_data_error(path + "[b.png]", "CRC error", [&] { read_all(*open_images(path)); });
}

TEST(ImageZip, OfManyMembersStaysQuick) {
  // Quadratic work in the number of members would take minutes.
  const TempDir folder;
  std::vector<std::pair<std::string, std::string>> members;
  for (int i = 0; i < 20000; ++i) members.emplace_back(std::to_string(100000 + i) + ".png", pixel(static_cast<std::uint8_t>(i)));
  write_zip(folder / "x.zip", members, ZIP_CM_STORE);
  const auto stream = open_images(folder / "x.zip");
  const std::vector<float> values = read_all(*stream, 1000);
  ASSERT_EQ(values.size(), 20000U);
  EXPECT_FLOAT_EQ(values[19999], (19999 % 256) / 127.5F - 1);
}

}  // namespace
}  // namespace headstart
