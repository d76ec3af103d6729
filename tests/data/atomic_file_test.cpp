#include "headstart/data/atomic_file.h"

#include <sys/resource.h>

#include <csignal>

#include "data_test.h"

namespace headstart {
namespace {

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const TempDir folder;
  AtomicFile file(folder / "a.bin");
  file.write("one ");
  file.write("two");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.bin"));
  EXPECT_TRUE(std::filesystem::exists(file.temporary_path()));
  file.commit();
  EXPECT_EQ(read_text(folder / "a.bin"), "one two");
  EXPECT_EQ(list(folder), (std::vector<std::string>{"a.bin"}));
}

TEST(AtomicFile, KeepsTheOldFileAndLeavesNothingBehindWhenAbandoned) {
  const TempDir folder;
  write_text(folder / "a.bin", "old");
  {
    AtomicFile file(folder / "a.bin");
    file.write("new");
  }
  EXPECT_EQ(read_text(folder / "a.bin"), "old");
  EXPECT_EQ(list(folder), (std::vector<std::string>{"a.bin"}));
}

TEST(AtomicFile, ReplacesAFileAndMayReachTheDiskFirst) {
  const TempDir folder;
  write_text(folder / "a.bin", "old");
  AtomicFile file(folder / "a.bin");
  file.write("new");
  file.commit(AtomicFile::Sync::yes);
  EXPECT_EQ(read_text(folder / "a.bin"), "new");
}

TEST(AtomicFile, TwoWritersOfOnePathDoNotMix) {
  const TempDir folder;
  AtomicFile first(folder / "a.bin");
  AtomicFile second(folder / "a.bin");
  first.write("first");
  second.write("second");
  first.commit();
  second.commit();
  EXPECT_EQ(read_text(folder / "a.bin"), "second");
}

TEST(AtomicFile, RefusesAMissingFolder) {
  const TempDir folder;
  expect_data_error(folder / "none/a.bin", "cannot be written: No such file or directory",
                    [&] { write_file_atomically(folder / "none/a.bin", "x"); });
  EXPECT_TRUE(list(folder).empty());
}

TEST(AtomicFile, RefusesToReplaceAFolderAndLeavesNothingBehind) {
  const TempDir folder;
  std::filesystem::create_directory(folder / "taken");
  expect_data_error(folder / "taken", "cannot be written: Is a directory", [&] { write_file_atomically(folder / "taken", "x"); });
  EXPECT_EQ(list(folder), (std::vector<std::string>{"taken"}));
}

TEST(AtomicFile, ReportsAFailedWriteAndLeavesNothingBehind) {
  const TempDir folder;
  // A limit on the size of files stands in for a full disk.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 1000;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  expect_data_error(folder / "a.bin", "cannot be written: File too large",
                    [&] { write_file_atomically(folder / "a.bin", std::string(5000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(list(folder).empty());
}

TEST(AtomicFile, RefusesToGoOnAfterCommit) {
  const TempDir folder;
  AtomicFile file(folder / "a.bin");
  file.commit();
  expect_error<InvalidArgument>({"[AtomicFile::write]", "a.bin already committed"}, [&] { file.write("x"); });
  expect_error<InvalidArgument>({"[AtomicFile::commit]", "a.bin already committed"}, [&] { file.commit(); });
}

}  // namespace
}  // namespace headstart
