#include "headstart/data/safetensors.h"

#include "data_test.h"

namespace headstart {
namespace {

// A file with this header and these data.
std::string container(const std::string& header, const std::string& data) {
  return bytes_of(std::vector<std::uint64_t>{header.size()}) + header + data;
}

const std::vector<float> kFloats{1, 2, 3};
const std::vector<double> kDoubles{4, 5};
const std::vector<std::uint8_t> kBytes{7};

std::vector<NamedArray> three_tensors() {
  return {{"bytes", view_of<std::uint8_t>({1}, kBytes)},
          {"floats", view_of<float>({3, 1}, kFloats)},
          {"doubles", view_of<double>({2}, kDoubles)}};
}

TEST(Safetensors, AreReadBackAsTheyWereWritten) {
  const TempDir folder;
  const std::string path = folder / "x.safetensors";
  write_safetensors(path, three_tensors(), {{"format", "headstart-stats"}, {"note", "caf\u00e9 \"quoted\"\n"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"bytes", "doubles", "floats"}));
  EXPECT_EQ(file.metadata("note"), "caf\u00e9 \"quoted\"\n");
  EXPECT_EQ(file.metadata().size(), 2U);
  EXPECT_TRUE(file.contains("bytes"));
  EXPECT_FALSE(file.contains("__metadata__"));
  EXPECT_EQ(file.get("floats").dtype, DType::F32);
  EXPECT_EQ(file.get("floats").shape, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(to_double(file.get("floats")), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(to_double(file.get("doubles")), kDoubles);
  EXPECT_EQ(list(folder), (std::vector<std::string>{"x.safetensors"}));
}

TEST(Safetensors, HaveTheBytesOfTheFormat) {
  const TempDir folder;
  const std::string path = folder / "x.safetensors";
  write_safetensors(path, std::vector{three_tensors()[0]});
  const std::string header = R"({"bytes":{"data_offsets":[0,1],"dtype":"U8","shape":[1]}})";
  ASSERT_EQ(header.size(), 57U);
  EXPECT_EQ(read_text(path), container(header + std::string(7, ' '), "\x07"));
}

TEST(Safetensors, AreAlignedAndTheSameInAnyOrder) {
  const TempDir folder;
  auto tensors = three_tensors();
  write_safetensors(folder / "a", tensors, {{"k", "v"}});
  std::swap(tensors[0], tensors[2]);
  write_safetensors(folder / "b", tensors, {{"k", "v"}});
  EXPECT_EQ(read_text(folder / "a"), read_text(folder / "b"));
  SafetensorsFile file(folder / "a");
  const std::byte* const before = file.get("doubles").bytes.data();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(before) % 8, 0U);
  const SafetensorsFile moved(std::move(file));
  EXPECT_EQ(to_double(moved.get("doubles")), kDoubles);
}

TEST(Safetensors, MayBeScalarEmptyOrNone) {
  const TempDir folder;
  const std::string path = folder / "x";
  const std::vector<double> one{0.5};
  const std::vector<double> none;
  write_safetensors(path, std::vector<NamedArray>{{"empty", view_of<double>({0, 3}, none)}, {"scalar", view_of<double>({}, one)}});
  const SafetensorsFile file(path);
  EXPECT_EQ(to_double(file.get("scalar")), one);
  EXPECT_EQ(file.get("empty").shape, (std::vector<std::int64_t>{0, 3}));
  write_safetensors(path, {}, {});
  EXPECT_TRUE(SafetensorsFile(path).names().empty());
}

TEST(Safetensors, RefuseMissingEmptyForeignAndTruncatedFiles) {
  const TempDir folder;
  const std::string path = folder / "x";
  const auto open = [&] { SafetensorsFile file(path); };
  expect_data_error(path, "no such file or folder", open);
  write_text(path, "");
  expect_data_error(path, "is empty", open);
  write_text(path, "abc");
  expect_data_error(path, "is not a safetensors file, or truncated in its header", open);
  write_text(path, "PK\x03\x04 this is a TorchScript archive, as many have here");
  expect_data_error(path, "is not a safetensors file", open);
  write_safetensors(path, three_tensors());
  const std::string whole = read_text(path);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    write_text(path, whole.substr(0, size));
    expect_data_error(path, "", open);
  }
  write_text(path, whole.substr(0, whole.size() - 1));
  expect_data_error(path, "has data_offsets", open);
  write_text(path, whole + "x");
  expect_data_error(path, "trailing bytes after the last tensor (at byte " + std::to_string(whole.size()) + ")", open);
}

TEST(Safetensors, RefuseMalformedHeaders) {
  const TempDir folder;
  const std::string path = folder / "x";
  const std::string data = "12345678";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "not valid JSON"},
      {"{", "not valid JSON (at byte"},
      {"{\"a\": nope}", "not valid JSON"},
      {"\xff\xfe", "not valid JSON"},
      {"[1]", "not a JSON object"},
      {R"({"__metadata__": 3})", "metadata is not an object"},
      {R"({"__metadata__": {"a": 3}})", "metadata a is not a string"},
      {R"({"__metadata__": {"a": "1", "a": "2"}})", "repeats the key a"},
      {R"({"a": 3})", "tensor a is not described by an object"},
      {R"({"a": {}})", "tensor a has no dtype"},
      {R"({"a": {"dtype": "F32"}})", "tensor a has no list shape"},
      {R"({"a": {"dtype": "F31", "shape": [2], "data_offsets": [0, 8]}})", "unknown dtype F31, expected one of F64, F32"},
      {R"({"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}})", "tensor a has no list shape"},
      {R"({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}})", "shape that is not of non-negative integers"},
      {R"({"a": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}})", "shape that is not of non-negative integers"},
      {R"({"a": {"dtype": "F32", "shape": [18446744073709551615], "data_offsets": [0, 8]}})", "not of non-negative integers"},
      {R"({"a": {"dtype": "F32", "shape": [2]}})", "tensor a has no list data_offsets"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}})", "expected a range within 8 bytes"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}})", "expected a range within 8 bytes"},
      {R"({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}})", "data_offsets [0, 12], expected a range within 8 bytes"},
      {R"({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}})", "tensor a is F32 [3] in 8 bytes"},
      {R"({"a": {"dtype": "F32", "shape": [4000000000, 4000000000, 4000000000], "data_offsets": [0, 8]}})", "in 8 bytes"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})",
       "repeats the key a"},
      {R"({"a": {"dtype": "F32", "dtype": "F64", "shape": [1], "data_offsets": [0, 8]}})", "repeats the key dtype"},
      {R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", "overlap or leave a gap"},
      {R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", "trailing bytes after the last tensor"},
      {R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
       "overlap or leave a gap"},
  };
  for (const auto& [header, message] : cases) {
    write_text(path, container(header, data));
    expect_data_error(path, message, [&] { SafetensorsFile file(path); });
  }
}

TEST(Safetensors, SayWhatTheyHaveWhereSomethingIsMissing) {
  const TempDir folder;
  const std::string path = folder / "x";
  write_safetensors(path, three_tensors());
  const SafetensorsFile file(path);
  expect_data_error(path, "has no tensor mean, only: bytes, doubles, floats", [&] { file.get("mean"); });
  expect_data_error(path, "has no metadata format", [&] { file.metadata("format"); });
}

TEST(Safetensors, AreNotWrittenFromBadInputAndLeaveNothingBehind) {
  const TempDir folder;
  const std::string path = folder / "x";
  auto tensors = three_tensors();
  tensors[1].name = "bytes";
  expect_error<InvalidArgument>({"[write_safetensors] expected distinct names", "got \"bytes\""},
                                [&] { write_safetensors(path, tensors); });
  tensors[1].name = "__metadata__";
  expect_error<InvalidArgument>({"[write_safetensors]", "got \"__metadata__\""}, [&] { write_safetensors(path, tensors); });
  tensors[1].name = "";
  expect_error<InvalidArgument>({"[write_safetensors]", "got \"\""}, [&] { write_safetensors(path, tensors); });
  tensors[1].name = "\xff";
  expect_error<InvalidArgument>({"[write_safetensors] expected names and metadata in UTF-8"}, [&] { write_safetensors(path, tensors); });
  tensors[1] = {"floats", {DType::F64, {3}, std::as_bytes(std::span(kFloats))}};
  expect_error<InvalidArgument>({"[write_safetensors] expected 24 bytes for F64 [3], got 12"}, [&] { write_safetensors(path, tensors); });
  expect_data_error(folder / "none/x", "cannot be written", [&] { write_safetensors(folder / "none/x", three_tensors()); });
  EXPECT_TRUE(list(folder).empty());
}

}  // namespace
}  // namespace headstart
