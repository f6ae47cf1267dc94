#include "tools/drun/text_input.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "runtime/base/file.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::drun {
namespace {

using Lines = std::vector<std::pair<uint64_t, std::string>>;

Lines all(TextInput& input) {
  Lines lines;
  for (Line line;;) {
    const auto more = input.next(line);
    EXPECT_TRUE(more.ok()) << more.error().message;
    if (!more.ok() || !*more) return lines;
    lines.emplace_back(line.number, line.text);
  }
}

TEST(TextInput, LinesThatAreNotBlank) {
  const testing::TemporaryDirectory dir;
  const std::string path = dir / "in";
  const std::string longer(700'000, 'x');  // than what is read at a time
  ASSERT_TRUE(writeFile(path, "a\r\n\n \t\r\n" + longer + "\nb\n\nc").ok());
  TextInput input = std::move(TextInput::open(path, {})).value();
  const Lines expected = {{1, "a"}, {4, longer}, {5, "b"}, {7, "c"}};
  EXPECT_EQ(all(input), expected);
  EXPECT_EQ(all(input), Lines());
  input.rewind();
  EXPECT_EQ(all(input), expected);
  EXPECT_EQ(input.where(7), path + ":7");

  ASSERT_TRUE(writeFile(path, "").ok());
  TextInput empty = std::move(TextInput::open(path, {})).value();
  EXPECT_EQ(all(empty), Lines());
}

// It is read twice all the same.
TEST(TextInput, OfAPipe) {
  const testing::TemporaryDirectory dir;
  const std::string path = dir / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path) << "one\ntwo\n\nfour"; });
  auto input = TextInput::open(path, {});
  writer.join();
  ASSERT_TRUE(input.ok()) << input.error().message;
  const Lines expected = {{1, "one"}, {2, "two"}, {4, "four"}};
  EXPECT_EQ(all(*input), expected);
  input->rewind();
  EXPECT_EQ(all(*input), expected);
}

TEST(TextInput, RefusesWhatCannotBeRead) {
  const testing::TemporaryDirectory dir;
  EXPECT_FALSE(TextInput::open(dir / "absent", {}).ok());
  EXPECT_FALSE(TextInput::open(dir.path(), {}).ok());
}

TEST(TextInput, RefusesEndlessLines) {
  const testing::TemporaryDirectory dir;
  const std::string path = dir / "in";
  ASSERT_TRUE(writeFile(path, "a\n" + std::string((size_t{64} << 20) + 400'000, 'x')).ok());
  TextInput input = std::move(TextInput::open(path, {})).value();
  Line line;
  EXPECT_TRUE(*input.next(line));
  const auto second = input.next(line);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message, path + ":2: a line of more than 64 MiB");
}

}  // namespace
}  // namespace dcc::drun
