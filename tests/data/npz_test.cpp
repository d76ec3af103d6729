#include "headstart/data/npz.h"

#include <limits>

#include "data_test.h"

namespace headstart {
namespace {

const std::vector<float> kFloats{1, 2, 3, 4, 5, 6};
const std::vector<std::uint8_t> kPixels{0, 255, 0, 255};
const std::vector<std::int64_t> kLabels{7};

NamedArray floats(const std::string& name) { return {name, view_of<float>({3, 2}, kFloats)}; }
NamedArray pixels(const std::string& name) { return {name, view_of<std::uint8_t>({1, 2, 2}, kPixels)}; }
NamedArray labels() { return {"labels", view_of<std::int64_t>({1}, kLabels)}; }

TEST(NpzFile, IsReadBackAsItWasWritten) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  write_npz(path, std::vector{floats("mu"), pixels("sigma")});
  EXPECT_EQ(npz_names(path), (std::vector<std::string>{"mu", "sigma"}));
  EXPECT_EQ(to_double(read_npz(path, "mu")), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read_npz(path, "sigma").shape, (std::vector<std::int64_t>{1, 2, 2}));
  EXPECT_EQ(list(folder), (std::vector<std::string>{"x.npz"}));
}

TEST(NpzFile, GivesItsOnlyArrayWithoutAKey) {
  const TempDir folder;
  write_npz(folder / "x.npz", std::vector{floats("arr_0")});
  EXPECT_EQ(read_npz(folder / "x.npz").shape, (std::vector<std::int64_t>{3, 2}));
}

TEST(NpzFile, HasTheSameBytesEveryTime) {
  const TempDir folder;
  write_npz(folder / "a.npz", std::vector{floats("mu"), pixels("sigma")});
  write_npz(folder / "b.npz", std::vector{floats("mu"), pixels("sigma")});
  EXPECT_EQ(read_text(folder / "a.npz"), read_text(folder / "b.npz"));
}

TEST(NpzFile, MayHoldEmptyArraysAndReplacesAnOldFile) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  write_text(path, "not a zip");
  const std::vector<float> nothing;
  write_npz(path, std::vector<NamedArray>{{"empty", view_of<float>({0, 2}, nothing)}});
  EXPECT_EQ(read_npz(path).shape, (std::vector<std::int64_t>{0, 2}));
}

TEST(NpzFile, RefusesKeysThatAreNotThereOrNotClear) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  write_npz(path, std::vector{floats("mu"), pixels("sigma")});
  expect_data_error(path, "has no array nu, only: mu, sigma", [&] { read_npz(path, "nu"); });
  expect_data_error(path, "expected one array, got mu, sigma", [&] { read_npz(path); });
  expect_data_error(path, "expected one array or one called samples or images, got mu, sigma", [&] { open_npz(path); });
  write_zip(path, {{"readme.txt", "hello"}});
  expect_data_error(path, "holds no .npy arrays", [&] { read_npz(path); });
  expect_data_error(path, "has no member a.npy", [&] { open_zip_member(path, "a.npy"); });
}

TEST(NpzFile, RefusesMissingEmptyForeignAndTruncatedFiles) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  expect_data_error(path, "no such file or folder", [&] { npz_names(path); });
  write_text(path, "");
  expect_data_error(path, "is empty", [&] { npz_names(path); });
  write_text(path, "some text that is not a zip file at all");
  expect_data_error(path, "is not a complete zip file", [&] { npz_names(path); });
  write_npz(path, std::vector{floats("mu")});
  const std::string whole = read_text(path);
  write_text(path, whole.substr(0, whole.size() - 30));
  expect_data_error(path, "is not a complete zip file", [&] { npz_names(path); });
}

TEST(NpzFile, RefusesACorruptMember) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  write_npz(path, std::vector{floats("mu")});
  std::string bytes = read_text(path);
  bytes[bytes.find(bytes_of(kFloats))] ^= 1;
  write_text(path, bytes);
  expect_data_error(path + "[mu.npy]", "corrupt zip member: CRC error", [&] { read_npz(path); });
}

TEST(NpzFile, RefusesAMemberThatIsNoArray) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  write_zip(path, {{"mu.npy", "hello"}});
  expect_data_error(path + "[mu.npy]", "is not an npy file", [&] { read_npz(path); });
  write_zip(path, {{"mu.npy", ""}});
  expect_data_error(path + "[mu.npy]", "is empty", [&] { read_npz(path); });
  if (zip_compression_method_supported(ZIP_CM_BZIP2, 1) != 0) {
    write_zip(path, {{"mu.npy", std::string(1000, 'x')}}, ZIP_CM_BZIP2);
    expect_data_error(path, "expected a stored or deflated member, got compression method 12", [&] { read_npz(path); });
  }
}

TEST(NpzFile, RefusesNonFiniteValues) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  const std::vector<double> nan{std::numeric_limits<double>::quiet_NaN()};
  write_npz(path, std::vector<NamedArray>{{"mu", view_of<double>({1}, nan)}});
  expect_data_error(path + "[mu.npy]", "expected finite values, got nan (at byte 128)", [&] { read_npz(path); });
}

TEST(NpzFile, IsNotWrittenFromBadInputAndLeavesNothingBehind) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  const auto write = [&](const std::vector<NamedArray>& arrays) { return [&path, arrays] { write_npz(path, arrays); }; };
  expect_error<InvalidArgument>({"[write_npz] expected at least one array"}, write({}));
  expect_error<InvalidArgument>({"[write_npz] expected distinct names, got \"mu\" twice"}, write({floats("mu"), floats("mu")}));
  expect_error<InvalidArgument>({"[write_npz] expected distinct names, got \"\""}, write({floats("")}));
  expect_error<InvalidArgument>({"[write_npz] expected 4 bytes for F32 [1], got 24"},
                                write({{"mu", {DType::F32, {1}, std::as_bytes(std::span(kFloats))}}}));
  expect_error<InvalidArgument>({"[write_npy]", "got F16"}, write({{"mu", {DType::F16, {12}, std::as_bytes(std::span(kFloats))}}}));
  expect_data_error(folder / "none/x.npz", "cannot be written", [&] { write_npz(folder / "none/x.npz", std::vector{floats("mu")}); });
  EXPECT_TRUE(list(folder).empty());
  std::filesystem::create_directory(path);
  expect_data_error(path, "cannot be written", write({floats("mu")}));
  EXPECT_EQ(list(folder), (std::vector<std::string>{"x.npz"}));
}

TEST(NpzImages, AreTheSamplesOrTheImagesOrTheOnlyArray) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  for (const char* const name : {"samples", "images", "arr_0"}) {
    std::vector<NamedArray> arrays{pixels(name)};
    if (std::string(name) != "arr_0") arrays.push_back(floats("other"));
    write_npz(path, arrays);
    const auto stream = open_npz(path);
    EXPECT_EQ(read_all(*stream), (std::vector<float>{-1, 1, -1, 1}));
    stream->rewind();
    EXPECT_EQ(read_all(*stream), (std::vector<float>{-1, 1, -1, 1}));
  }
}

TEST(NpzImages, InflateAsTheyAreRead) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  std::vector<float> values(600000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000);
  const std::string header = encode_npy_header(DType::F32, std::vector<std::int64_t>{3000, 200});
  write_zip(path, {{"samples.npy", header + bytes_of(values)}});
  const auto stream = open_npz(path);
  EXPECT_EQ(read_all(*stream, 700), values);
  stream->rewind();
  EXPECT_EQ(read_all(*stream, 4000), values);
}

TEST(NpzImages, BringTheirLabels) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  write_npz(path, std::vector{pixels("images"), labels()});
  EXPECT_EQ(open_npz(path)->labels(), kLabels);
  write_npz(path, std::vector{pixels("arr_0"), labels()});
  EXPECT_EQ(open_npz(path)->labels(), kLabels);
}

TEST(NpzImages, RefuseLabelsThatDoNotFit) {
  const TempDir folder;
  const std::string path = folder / "x.npz";
  write_npz(path, std::vector{floats("samples"), labels()});
  expect_data_error(path, "expected 3 labels, one an image, got 1", [&] { open_npz(path); });
  write_npz(path, std::vector{floats("samples"), floats("labels")});
  expect_data_error(path, "expected labels to be integers [N], got F32 [3, 2]", [&] { open_npz(path); });
}

}  // namespace
}  // namespace headstart
