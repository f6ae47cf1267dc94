#include "runtime/base/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/unit/temporary_directory.h"

namespace dcc {
namespace {

using testing::TemporaryDirectory;

std::vector<uint8_t> bytesOf(const std::string& header, size_t data,
                             std::optional<uint64_t> length = std::nullopt) {
  std::vector<uint8_t> bytes(8 + header.size() + data);
  uint64_t n = length.value_or(header.size());
  std::memcpy(bytes.data(), &n, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

Result<SafetensorsHeader> parse(const std::string& header, size_t data) {
  std::vector<uint8_t> bytes = bytesOf(header, data);
  return parseSafetensorsHeader(bytes, bytes.size(), "m.safetensors");
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   uint64_t begin, uint64_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

TEST(Safetensors, ReadsTensorsInAnyOrder) {
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}," +
                       tensor("b", "F32", "[2,3]", 4, 28) + "," + tensor("a", "BF16", "[2]", 0, 4) +
                       "," + tensor("scalar", "I64", "[]", 28, 36) + "," +
                       tensor("empty", "F16", "[0,7]", 28, 28) + "}  ";
  auto parsed = parse(header, 36);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  ASSERT_EQ(parsed->tensors.size(), 4u);
  EXPECT_EQ(parsed->header_bytes, 8 + header.size());
  EXPECT_EQ(parsed->file_bytes, 8 + header.size() + 36);
  const SafetensorsTensor* b = parsed->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, "F32");
  EXPECT_EQ(b->shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(b->offset, 8 + header.size() + 4);
  EXPECT_EQ(b->bytes, 24u);
  EXPECT_EQ(parsed->find("scalar")->bytes, 8u);
  EXPECT_EQ(parsed->find("__metadata__"), nullptr);
  EXPECT_EQ(parsed->find("aa"), nullptr);
}

TEST(Safetensors, AcceptsWhatItCannotComputeWith) {
  auto parsed =
      parse("{" + tensor("w", "F8_E4M3", "[4]", 0, 4) + "," + tensor("q", "F4", "[3,2]", 4, 7) +
                "," + tensor("z", "F3_NEW", "[10]", 7, 12) + "}",
            12);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->find("z")->dtype, "F3_NEW");
  EXPECT_FALSE(parseDType(parsed->find("w")->dtype));
}

TEST(Safetensors, NoTensorsIsAFile) {
  EXPECT_TRUE(parse("{}", 0).ok());
  EXPECT_FALSE(parse("{}", 1).ok());
}

TEST(Safetensors, DamagedHeadersAreRefusedByName) {
  struct {
    std::string header;
    size_t data;
    std::string expected;
  } cases[] = {
      {"[]", 0, "is an array; an object is expected"},
      {"", 0, "m.safetensors (header):1:1:"},
      {"{" + tensor("a", "F32", "[1]", 0, 4), 4, "m.safetensors (header):1:"},
      {"{\"a\":1}", 0, "tensor a: is 1; an object is expected"},
      {"{\"a\":{}}", 0, "tensor a: dtype: is missing"},
      {"{" + tensor("a", "F32", "[-1]", 0, 4) + "}", 4, "shape: must hold integers from 0"},
      {"{" + tensor("a", "F32", "[1.5]", 0, 4) + "}", 4, "shape: must hold integers from 0"},
      {"{" + tensor("a", "F32", "7", 0, 4) + "}", 4, "shape: is 7; an array is expected"},
      {"{" + tensor("a", "F32", "[1]", 4, 0) + "}", 4, "lie outside the file's 4 bytes of data"},
      {"{" + tensor("a", "F32", "[2]", 0, 8) + "}", 4, "lie outside the file's 4 bytes of data"},
      {"{" + tensor("a", "F32", "[2]", 0, 4) + "}", 4,
       "has 4 bytes, its shape and dtype F32 need 8"},
      {"{" + tensor("a", "F4", "[3]", 0, 2) + "}", 2, "need an impossible number"},
      {"{" + tensor("a", "F32", "[4611686018427387904,4]", 0, 4) + "}", 4,
       "need an impossible number"},
      {"{" + tensor("a", "U8", "[18446744073709551615]", 0, 4) + "}", 4,
       "need an impossible number"},
      {"{" + tensor("a", "F32", "[1]", 0, 4) + "," + tensor("b", "F32", "[1]", 2, 6) + "}", 6,
       "tensor b begins at byte"},
      {"{" + tensor("a", "F32", "[1]", 0, 4) + "," + tensor("b", "F32", "[1]", 8, 12) + "}", 12,
       "tensor b begins at byte"},
      {"{" + tensor("a", "F32", "[1]", 4, 8) + "}", 8, "tensor a begins at byte"},
      {"{" + tensor("a", "F32", "[1]", 0, 4) + "}", 8, "its tensors end at"},
      {"{" + tensor("a", "F32", "[1]", 0, 4) + "," + tensor("a", "F32", "[1]", 4, 8) + "}", 8,
       "the key \"a\" stands twice"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}}", 4, "shape: must hold"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[[[[1]]]],\"data_offsets\":[0,4]}}", 4,
       "nested deeper than 4 levels"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4,
       "must be two integers from 0"},
  };
  for (const auto& c : cases) {
    auto parsed = parse(c.header, c.data);
    ASSERT_FALSE(parsed.ok()) << c.header;
    const std::string& message = parsed.error().message;
    EXPECT_NE(message.find(c.expected), std::string::npos) << c.header << " -> " << message;
    EXPECT_EQ(message.rfind("m.safetensors", 0), 0u) << message;
  }
}

TEST(Safetensors, ImpossibleHeaderLengthsAreRefusedBeforeMemoryIsTaken) {
  for (uint64_t length : {uint64_t{3}, uint64_t{1} << 40, uint64_t{1} << 63, UINT64_MAX}) {
    std::vector<uint8_t> bytes = bytesOf("{}", 0, length);
    auto parsed = parseSafetensorsHeader(bytes, bytes.size(), "m.safetensors");
    ASSERT_FALSE(parsed.ok()) << length;
    EXPECT_NE(parsed.error().message.find("its header would have"), std::string::npos);
    // The same where the file claims to be that long.
    EXPECT_FALSE(parseSafetensorsHeader(bytes, UINT64_MAX, "m.safetensors").ok());
  }
  EXPECT_FALSE(parseSafetensorsHeader(bytesOf("{}", 0, 0), 10, "m.safetensors").ok());
}

TEST(Safetensors, EveryPrefixOfAFileIsRefused) {
  TemporaryDirectory dir;
  std::vector<uint8_t> whole = bytesOf("{" + tensor("a", "F32", "[2]", 0, 8) + "}", 8);
  for (size_t n = 0; n <= whole.size(); ++n) {
    ASSERT_TRUE(writeFile(dir / "m", {reinterpret_cast<const char*>(whole.data()), n}).ok());
    EXPECT_EQ(readSafetensorsHeader(dir / "m").ok(), n == whole.size()) << n;
  }
}

TEST(Safetensors, HashIsOfTheHeaderOnly) {
  TemporaryDirectory dir;
  auto hash = [&](std::vector<uint8_t> bytes) {
    EXPECT_TRUE(
        writeFile(dir / "m", {reinterpret_cast<const char*>(bytes.data()), bytes.size()}).ok());
    auto header = readSafetensorsHeader(dir / "m");
    EXPECT_TRUE(header.ok());
    auto file = openInput(dir / "m");
    EXPECT_EQ(safetensorsHeaderHash(*file).value(), header->hash);
    return header->hash;
  };
  std::vector<uint8_t> bytes = bytesOf("{" + tensor("a", "F32", "[2]", 0, 8) + "}", 8);
  Hash original = hash(bytes);
  bytes.back() ^= 1;
  EXPECT_EQ(hash(bytes), original);
  EXPECT_NE(hash(bytesOf("{" + tensor("b", "F32", "[2]", 0, 8) + "}", 8)), original);
}

TEST(Safetensors, AGitLfsPointerIsNamed) {
  TemporaryDirectory dir;
  ASSERT_TRUE(writeFile(dir / "m", "version https://git-lfs.github.com/spec/v1\noid x\n").ok());
  auto header = readSafetensorsHeader(dir / "m");
  ASSERT_FALSE(header.ok());
  EXPECT_NE(header.error().message.find("git lfs pull"), std::string::npos);
}

TEST(Safetensors, NamesInMessagesAreEscaped) {
  auto parsed = parse("{" + tensor("\\u001b[2J\\n", "F32", "[2]", 0, 4) + "}", 4);
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(parsed.error().message.find("tensor \\x1b[2J\\n: has 4 bytes"), std::string::npos)
      << parsed.error().message;
}

}  // namespace
}  // namespace dcc
