#include "headstart/data/npy.h"

#include <limits>
#include <numeric>

#include "data_test.h"
#include "headstart/data/pixels.h"

namespace headstart {
namespace {

std::string dict(const std::string& descr, const std::string& shape, const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

TEST(NpyFile, IsReadBackAsItWasWritten) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const std::vector<double> doubles{1.5, -2.0, 3.0, 0.1, 5.0, 6.0};
  write_npy(path, {2, 3}, doubles);
  EXPECT_EQ(read_npy_header(path).shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(to_double(read_npy(path)), doubles);
  write_npy(path, {1}, std::vector<std::int64_t>{-7});
  EXPECT_EQ(read_npy_header(path).dtype, DType::I64);
  EXPECT_EQ(to_double(read_npy(path)), (std::vector<double>{-7}));
  write_npy(path, {}, std::vector<float>{0.25F});
  EXPECT_TRUE(read_npy_header(path).shape.empty());
  EXPECT_EQ(to_double(read_npy(path)), (std::vector<double>{0.25}));
  write_npy(path, {0, 4}, std::vector<std::uint8_t>{});
  EXPECT_EQ(read_npy(path).shape, (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(list(folder), (std::vector<std::string>{"x.npy"}));
}

TEST(NpyFile, HasTheBytesNumpyWrites) {
  const std::string header = encode_npy_header(DType::F64, std::vector<std::int64_t>{3});
  // numpy 1.26: np.save of np.zeros(3).
  EXPECT_EQ(header, std::string("\x93NUMPY\x01\x00\x76\x00", 10) + "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }" +
                        std::string(60, ' ') + "\n");
}

TEST(NpyFile, StartsItsValuesAtAMultipleOf64) {
  for (const std::int64_t size : {1, 10, 100, 1000, 100000, 10000000}) {
    EXPECT_EQ(encode_npy_header(DType::U8, std::vector<std::int64_t>{size, size, size}).size() % 64, 0U);
  }
}

TEST(NpyFile, ReadsHeadersAsOthersWriteThem) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const std::string data = bytes_of(std::vector<float>{1, 2});
  for (const std::string& text : {std::string("{\"shape\":(2L,),\"fortran_order\":True,\"descr\":\"<f4\"}"), dict("<f4", "(2,)"),
                                  dict("<f4", "( 1 , 2 )"), std::string("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}   \n")}) {
    write_text(path, npy_bytes(text, data));
    EXPECT_EQ(to_double(read_npy(path)), (std::vector<double>{1, 2})) << text;
  }
  const std::string text = dict("<f4", "(2,)");
  write_text(path, std::string("\x93NUMPY\x02\x00", 8) + static_cast<char>(text.size()) + std::string(3, '\0') + text + data);
  EXPECT_EQ(to_double(read_npy(path)), (std::vector<double>{1, 2}));
  write_gzip(path, npy_bytes(text, data));
  EXPECT_EQ(to_double(read_npy(path)), (std::vector<double>{1, 2}));
}

TEST(NpyFile, RefusesMalformedHeaders) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "expected '{'"},
      {"[]", "expected '{'"},
      {"{", "expected a string"},
      {"{}", "key 'descr' is missing"},
      {"{'descr': '<f4'}", "key 'fortran_order' is missing"},
      {"{'descr': '<f4', 'fortran_order': False}", "key 'shape' is missing"},
      {"{'descr' '<f4'}", "expected ':'"},
      {"{'descr': '<f4", "a string without its end"},
      {"{'descr': '<f\n4'}", "a string with odd characters"},
      {"{'descr': [('a', '<f4')]}", "structured dtypes are not supported"},
      {"{'descr': '<f4', 'descr': '<f4'}", "key 'descr' is repeated"},
      {"{'what': 1}", "unknown key 'what'"},
      {"{'fortran_order': 0}", "expected True or False"},
      {"{'shape': 2}", "expected '('"},
      {"{'shape': (2", "expected ')'"},
      {"{'shape': (-2,)}", "expected a size"},
      {"{'shape': (x,)}", "expected a size"},
      {"{'shape': (99999999999999999999,)}", "expected a size"},
      {dict("<f4", "(0,)") + "more", "text after the dictionary"},
  };
  for (const auto& [text, message] : cases) {
    write_text(path, npy_bytes(text, ""));
    expect_error<DataError>({path, "malformed npy header: " + message, "(at byte"}, [&] { read_npy_header(path); });
  }
}

TEST(NpyFile, RefusesOtherOrdersAndTypes) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const std::string data(32, '\0');
  write_text(path, npy_bytes(dict("<f4", "(2, 4)", "True"), data));
  expect_data_error(path, "is in Fortran order, expected C order", [&] { read_npy(path); });
  write_text(path, npy_bytes(dict(">f4", "(2, 4)"), data));
  expect_data_error(path, "is big endian (dtype '>f4')", [&] { read_npy(path); });
  for (const char* const descr : {"<f2", "|b1", "<c8", "<U4", "|O", ""}) {
    write_text(path, npy_bytes(dict(descr, "(2, 4)"), data));
    expect_data_error(path, std::string("expected dtype u1, i4, i8, f4 or f8, got '") + descr, [&] { read_npy(path); });
  }
}

TEST(NpyFile, RefusesTruncationAndTrailingBytes) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const std::string whole = npy_bytes(dict("<f4", "(2,)"), bytes_of(std::vector<float>{1, 2}));
  for (const std::size_t size : {6, 9, 20}) {
    write_text(path, whole.substr(0, size));
    expect_error<DataError>({path, "npy"}, [&] { read_npy(path); });
  }
  write_text(path, whole.substr(0, whole.size() - 1));
  expect_data_error(path, "truncated: expected F32 [2] (at byte " + std::to_string(whole.size() - 1) + ")", [&] { read_npy(path); });
  write_text(path, whole + "ab");
  expect_data_error(path, "2 trailing bytes (at byte " + std::to_string(whole.size()) + ")", [&] { read_npy_header(path); });
  write_gzip(path, whole.substr(0, whole.size() - 1));
  expect_data_error(path, "truncated: expected F32 [2]", [&] { read_npy(path); });
  write_gzip(path, whole + "a");
  expect_data_error(path, "trailing bytes after the array", [&] { read_npy(path); });
}

TEST(NpyFile, BelievesNoHeaderThatPromisesMoreThanAFileCanHold) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  write_text(path, npy_bytes(dict("<f8", "(1000000000, 1000000000)"), "abc"));
  expect_data_error(path, "truncated", [&] { read_npy(path); });
  write_gzip(path, npy_bytes(dict("<f8", "(9000000000000000000, 9)"), "abc"));
  expect_data_error(path, "truncated", [&] { read_npy(path); });
  write_text(path, std::string("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12) + "{}");
  expect_data_error(path, "truncated npy header", [&] { read_npy(path); });
}

TEST(NpyFile, RefusesMissingEmptyAndForeignFiles) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  expect_data_error(path, "no such file or folder", [&] { read_npy(path); });
  write_text(path, "");
  expect_data_error(path, "is empty", [&] { read_npy(path); });
  write_gzip(path, "");
  expect_data_error(path, "is empty", [&] { read_npy(path); });
  write_text(path, "x,y\n1,2\n");
  expect_data_error(path, "is not an npy file", [&] { read_npy(path); });
  write_text(path, std::string("\x93NUMPY\x03\x00\x02\x00{}", 12));
  expect_data_error(path, "expected npy version 1 or 2, got 3", [&] { read_npy(path); });
}

TEST(NpyFile, RefusesNonFiniteValuesAndSaysWhere) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  write_npy(path, {3}, std::vector<double>{1, std::numeric_limits<double>::quiet_NaN(), 3});
  expect_data_error(path, "expected finite values, got nan (at byte 136)", [&] { read_npy(path); });
  write_npy(path, {3}, std::vector<float>{1, 2, -std::numeric_limits<float>::infinity()});
  expect_data_error(path, "expected finite values, got -inf (at byte 136)", [&] { read_npy(path); });
}

TEST(NpyFile, IsNotWrittenWhereSizesDisagreeOrTheFolderIsMissing) {
  const TempDir folder;
  const std::vector<float> values{1, 2};
  expect_error<InvalidArgument>({"[write_npy] expected 12 bytes for F32 [3], got 8"}, [&] { write_npy(folder / "x.npy", {3}, values); });
  const std::vector<std::byte> half(2);
  expect_error<InvalidArgument>({"[write_npy]", "got F16"}, [&] { write_npy(folder / "x.npy", {DType::F16, {1}, half}); });
  expect_data_error(folder / "none/x.npy", "cannot be written", [&] { write_npy(folder / "none/x.npy", {2}, values); });
  EXPECT_TRUE(list(folder).empty());
}

std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> values(size);
  std::iota(values.begin(), values.end(), std::uint8_t{0});
  return values;
}

std::vector<float> in_data_units(const std::vector<std::uint8_t>& pixels) {
  std::vector<float> values(pixels.size());
  to_data_units(pixels, values);
  return values;
}

TEST(NpyImages, KnowTheLayoutOfBytes) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  write_npy(path, {2, 2, 3}, counting(12));
  EXPECT_EQ(open_npy(path)->shape(), (ImageShape{1, 2, 3}));
  EXPECT_EQ(read_all(*open_npy(path)), in_data_units(counting(12)));
  write_npy(path, {1, 2, 2, 3}, counting(12));
  EXPECT_EQ(open_npy(path)->shape(), (ImageShape{3, 2, 2}));
  EXPECT_EQ(read_all(*open_npy(path)), in_data_units({0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
  write_npy(path, {1, 3, 2, 2}, counting(12));
  EXPECT_EQ(open_npy(path)->shape(), (ImageShape{3, 2, 2}));
  EXPECT_EQ(read_all(*open_npy(path)), in_data_units(counting(12)));
  write_npy(path, {2, 2, 3, 1}, counting(12));
  EXPECT_EQ(open_npy(path)->shape(), (ImageShape{1, 2, 3}));
  write_npy(path, {2, 1, 3, 2}, counting(12));
  EXPECT_EQ(open_npy(path)->shape(), (ImageShape{1, 3, 2}));
  // Both could be: the last size decides.
  write_npy(path, {1, 3, 4, 1}, counting(12));
  EXPECT_EQ(open_npy(path)->shape(), (ImageShape{1, 3, 4}));
}

TEST(NpyImages, TakeFloatsAsTheyAre) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const std::vector<float> floats{0.5F, -3.0F, 2.0F, 7.0F, 8.0F, 9.0F};
  write_npy(path, {2, 3}, floats);
  const auto points = open_npy(path);
  EXPECT_EQ(points->shape(), (ImageShape{1, 1, 3}));
  EXPECT_FALSE(points->is_uint8());
  EXPECT_EQ(read_all(*points, 1), floats);
  const std::vector<double> doubles{0.1, 0.2, 0.3, 0.4};
  write_npy(path, {1, 2, 1, 2}, doubles);
  EXPECT_EQ(open_npy(path)->shape(), (ImageShape{2, 1, 2}));
  EXPECT_EQ(read_all(*open_npy(path)), (std::vector<float>{0.1F, 0.2F, 0.3F, 0.4F}));
}

TEST(NpyImages, StreamThroughABufferSmallerThanTheFile) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  std::vector<float> values(3 * 400000);
  std::iota(values.begin(), values.end(), 0.0F);
  write_npy(path, {3000, 400}, values);
  const auto stream = open_npy(path);
  EXPECT_EQ(read_all(*stream, 1300), values);
  stream->rewind();
  EXPECT_EQ(read_all(*stream, 5000), values);
}

TEST(NpyImages, RefuseShapesAndTypesThatAreNoImages) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  const auto open = [&] { open_npy(path); };
  write_npy(path, {2, 6}, counting(12));
  expect_data_error(path, "expected images: U8 [N,H,W]", open);
  write_npy(path, {1, 2, 3, 2}, counting(12));
  expect_data_error(path, "got U8 [1, 2, 3, 2]", open);
  write_npy(path, {1, 2, 3}, std::vector<float>(6));
  expect_data_error(path, "got F32 [1, 2, 3]", open);
  write_npy(path, {1, 2}, std::vector<std::int64_t>(2));
  expect_data_error(path, "got I64 [1, 2]", open);
  write_npy(path, {}, std::vector<float>(1));
  expect_data_error(path, "got F32 []", open);
  write_npy(path, {0, 28, 28}, std::vector<std::uint8_t>{});
  expect_data_error(path, "holds no images", open);
  write_npy(path, {3, 0}, std::vector<float>{});
  expect_data_error(path, "impossible shape [3, 0]", open);
}

TEST(NpyImages, RefuseNonFiniteValuesAndSayWhere) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  std::vector<float> values(600000, 1.0F);
  values[500001] = std::numeric_limits<float>::quiet_NaN();  // beyond the first buffer
  write_npy(path, {300000, 2}, values);
  const auto stream = open_npy(path);
  expect_data_error(path, "expected finite values, got nan (at byte 2000132)", [&] { read_all(*stream, 100000); });
  write_npy(path, {1, 2}, std::vector<double>{1.0, 1e300});
  expect_data_error(path, "does not fit float32, got 1e+300 (at byte 136)", [&] { read_all(*open_npy(path)); });
}

TEST(NpyImages, RefuseAFileThatShrinksWhileItIsRead) {
  const TempDir folder;
  const std::string path = folder / "x.npy";
  write_npy(path, {3000, 400}, std::vector<float>(3000 * 400));
  const auto stream = open_npy(path);
  std::filesystem::resize_file(path, 1000000);
  expect_data_error(path, "truncated: expected 3000 images (at byte 1000000)", [&] { read_all(*stream, 1); });
}

}  // namespace
}  // namespace headstart
