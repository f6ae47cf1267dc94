#include "runtime/base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace dcc {
namespace {

TEST(Hash, HexAndBack) {
  Hash hash{0x0123456789abcdefull, 0xfedcba9876543210ull};
  EXPECT_EQ(hash.hex(), "fedcba98765432100123456789abcdef");
  EXPECT_EQ(Hash::fromHex(hash.hex()), hash);
  EXPECT_EQ(Hash::fromHex(""), std::nullopt);
  EXPECT_EQ(Hash::fromHex("fedcba98765432100123456789abcdeg"), std::nullopt);
  EXPECT_EQ(Hash::fromHex("FEDCBA98765432100123456789abcdef"), std::nullopt);
  EXPECT_EQ(Hash::fromHex("fedcba98765432100123456789abcdef0"), std::nullopt);
}

// XXH3's published value for no bytes: other programs can check our files.
TEST(Hash, IsXxh3) { EXPECT_EQ(hashBytes({}).hex(), "99aa06d3014798d86001c324468d497f"); }

TEST(Hasher, BoundariesBetweenTextsCount) {
  auto hash = [](std::initializer_list<std::string_view> texts) {
    Hasher hasher;
    for (std::string_view text : texts) hasher.add(text);
    return hasher.finish();
  };
  EXPECT_EQ(hash({"ab", "c"}), hash({"ab", "c"}));
  EXPECT_NE(hash({"ab", "c"}), hash({"a", "bc"}));
  EXPECT_NE(hash({"ab", ""}), hash({"", "ab"}));
  EXPECT_NE(hash({}), hash({""}));
}

TEST(Hasher, CountsItsBytes) {
  Hasher hasher;
  hasher.add(uint64_t{1});
  hasher.add(std::string_view("abc"));
  EXPECT_EQ(hasher.size(), 8u + 8u + 3u);
}

}  // namespace
}  // namespace dcc
