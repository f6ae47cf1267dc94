#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/base/safetensors.h"
#include "tests/unit/temporary_directory.h"

namespace dcc {
namespace {

using testing::TemporaryDirectory;

size_t entriesOf(const std::string& dir) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir), {}));
}

TEST(SafetensorsWriter, WritesWhatTheReaderReads) {
  TemporaryDirectory dir;
  {
    auto writer = SafetensorsWriter::create(
        dir / "out",
        {{"1", DType::kF32, {2, 2}}, {"0", DType::kF32, {3}}, {"id", DType::kI64, {1}}});
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    EXPECT_FALSE(std::filesystem::exists(dir / "out"));
    // In any order, in parts.
    ASSERT_TRUE(writer->write(1, 0, std::vector<float>{7, 8, 9}).ok());
    ASSERT_TRUE(writer->write(0, 2, std::vector<float>{3, 4}).ok());
    ASSERT_TRUE(writer->write(0, 0, std::vector<float>{1, 2}).ok());
    ASSERT_TRUE(writer->writeBytes(2, 0, std::vector<uint8_t>(8, 1)).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  EXPECT_EQ(entriesOf(dir.path()), 1u);
  auto header = readSafetensorsHeader(dir / "out");
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->tensors.size(), 3u);
  EXPECT_EQ(header->header_bytes % 8, 0u);
  auto values = [&](const char* name) {
    const SafetensorsTensor& tensor = *header->find(name);
    std::vector<float> out(tensor.bytes / sizeof(float));
    auto file = openInput(dir / "out");
    EXPECT_TRUE(
        readAt(*file, tensor.offset, {reinterpret_cast<uint8_t*>(out.data()), tensor.bytes}).ok());
    return out;
  };
  EXPECT_EQ(values("1"), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(values("0"), (std::vector<float>{7, 8, 9}));
  EXPECT_EQ(header->find("1")->shape, (std::vector<uint64_t>{2, 2}));
}

TEST(SafetensorsWriter, LeavesNothingUnlessFinished) {
  TemporaryDirectory dir;
  {
    auto writer = SafetensorsWriter::create(dir / "out", {{"a", DType::kF32, {2}}});
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->write(0, 0, std::vector<float>{1}).ok());
    Status status = writer->finish();
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("4 bytes were never written"), std::string::npos);
  }
  EXPECT_EQ(entriesOf(dir.path()), 0u);
}

TEST(SafetensorsWriter, RefusesWritesOutsideOfATensor) {
  TemporaryDirectory dir;
  auto writer = SafetensorsWriter::create(dir / "out", {{"a", DType::kF32, {2}}});
  ASSERT_TRUE(writer.ok());
  const std::vector<float> two = {1, 2};
  EXPECT_FALSE(writer->write(0, 1, two).ok());
  EXPECT_FALSE(writer->write(0, UINT64_MAX / 4, two).ok());
  EXPECT_FALSE(writer->write(1, 0, two).ok());
  EXPECT_TRUE(writer->write(0, 0, two).ok());
}

TEST(SafetensorsWriter, ErrorsNameThePath) {
  TemporaryDirectory dir;
  for (const std::string& path : {dir / "none/out", dir.path(), std::string("/dev/null")}) {
    auto writer = SafetensorsWriter::create(path, {});
    ASSERT_FALSE(writer.ok()) << path;
    EXPECT_EQ(writer.error().message.rfind(path + ": cannot be written: ", 0), 0u);
  }
  EXPECT_FALSE(
      SafetensorsWriter::create(dir / "out", {{"a", DType::kF32, {1u << 31, 1u << 31}}}).ok());
}

}  // namespace
}  // namespace dcc
