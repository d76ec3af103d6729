#include "headstart/data/sha256.h"

#include "data_test.h"

namespace headstart {
namespace {

constexpr const char* kOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";  // FIPS 180-2, example B.1

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(Sha256, MatchesThePublishedDigests) {
  Sha256 hash;
  EXPECT_EQ(hash.hex(), kOfNothing);
  hash.update(bytes("a"));
  EXPECT_NE(hash.hex(), kOfAbc);
  hash.update(bytes("bc"));  // asking for the digest so far changed nothing
  EXPECT_EQ(hash.hex(), kOfAbc);
}

TEST(Sha256, HashesAFile) {
  const TempDir folder;
  write_text(folder / "abc", "abc");
  write_text(folder / "empty", "");
  EXPECT_EQ(sha256_file(folder / "abc"), kOfAbc);
  EXPECT_EQ(sha256_file(folder / "empty"), kOfNothing);
}

TEST(Sha256, RefusesAMissingFile) {
  const TempDir folder;
  expect_data_error(folder / "none", "no such file or folder", [&] { sha256_file(folder / "none"); });
  expect_data_error(folder.path().string(), "is a folder", [&] { sha256_file(folder.path().string()); });
}

}  // namespace
}  // namespace headstart
