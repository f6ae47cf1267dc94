#include "runtime/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "runtime/base/printable.h"
#include "tests/unit/temporary_directory.h"

namespace dcc {
namespace {

using testing::TemporaryDirectory;

TEST(File, ReadsWhatWasWritten) {
  TemporaryDirectory dir;
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(writeFile(dir / "x", bytes).ok());
  auto read = readFile(dir / "x", 4);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, bytes);
}

TEST(File, ErrorsNameThePath) {
  TemporaryDirectory dir;
  ASSERT_TRUE(writeFile(dir / "five", "12345").ok());
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  struct {
    std::string path, expected;
  } cases[] = {
      {dir / "none", "none: cannot be read: No such file or directory"},
      {dir.path(), ": is a directory; a file is expected"},
      {dir / "pipe", "pipe: is a pipe or device; a regular file is expected"},
      {dir / "five", "five: has 5 bytes; at most 4 are expected"},
  };
  for (const auto& c : cases) {
    auto read = readFile(c.path, 4);
    ASSERT_FALSE(read.ok()) << c.path;
    EXPECT_NE(read.error().message.find(c.expected), std::string::npos) << read.error().message;
    EXPECT_EQ(read.error().fault, Fault::kUser);
  }
  EXPECT_FALSE(writeFile(dir / "none/x", "").ok());
}

TEST(File, WhoIsAtFaultIsInTheErrno) {
  EXPECT_EQ(fileError("a", "cannot be read", ENOENT).message,
            "a: cannot be read: No such file or directory");
  for (const int error : {ENOENT, EACCES, ENOTDIR, EROFS, ENAMETOOLONG}) {
    EXPECT_EQ(fileError("a", "b", error).fault, Fault::kUser) << errnoText(error);
  }
  for (const int error : {EMFILE, ENFILE, ENOSPC, EDQUOT, EFBIG, ENOMEM, EIO}) {
    EXPECT_EQ(fileError("a", "b", error).fault, Fault::kRuntime) << errnoText(error);
  }
}

TEST(File, AFileThatEndsEarlyIsARuntimeError) {
  TemporaryDirectory dir;
  ASSERT_TRUE(writeFile(dir / "x", "12345").ok());
  auto file = openInput(dir / "x");
  ASSERT_TRUE(file.ok());
  uint8_t bytes[4];
  EXPECT_TRUE(readAt(*file, 1, bytes).ok());
  EXPECT_EQ(bytes[3], '5');
  Status status = readAt(*file, 3, bytes);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kRuntime);
  EXPECT_NE(status.error().message.find("x: ends at byte 5"), std::string::npos);
}

TEST(File, StaysBelow) {
  for (const char* good : {"a", "a/b", "a/", "..a", "a/..b", "a//b", "..."}) {
    EXPECT_TRUE(staysBelow(good)) << good;
  }
  for (const char* bad : {"", "/a", "..", "../a", "a/..", "a/../b", "a//.."}) {
    EXPECT_FALSE(staysBelow(bad)) << bad;
  }
  EXPECT_FALSE(staysBelow(std::string_view("a\0b", 3)));
}

TEST(Printable, EscapesWhatWouldBreakTheLineOrTheTerminal) {
  EXPECT_EQ(printable("plain \xc3\xa4"), "plain \xc3\xa4");
  EXPECT_EQ(printable("a\nb\tc\x1b[2J\x7f"), "a\\nb\\tc\\x1b[2J\\x7f");
  EXPECT_EQ(printable(std::string(300, 'x')), std::string(200, 'x') + "...");
}

}  // namespace
}  // namespace dcc
