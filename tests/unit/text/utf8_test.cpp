#include "runtime/text/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace dcc::text {
namespace {

TEST(Utf8, Validity) {
  EXPECT_TRUE(isValidUtf8(""));
  EXPECT_TRUE(isValidUtf8("plain ASCII, longer than one machine word"));
  EXPECT_TRUE(isValidUtf8("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF"));
  EXPECT_TRUE(isValidUtf8("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
  for (const char* broken : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xE4\xBD",
                             "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                             "\xF5\x80\x80\x80", "\xFF", "a\xE4z", "12345678\xF0"}) {
    EXPECT_FALSE(isValidUtf8(broken)) << testing::PrintToString(std::string(broken));
  }
}

TEST(Utf8, CodePointsThereAndBack) {
  std::string all;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c == 0xD800) c = 0xE000;
    const size_t begin = all.size();
    appendUtf8(all, c);
    size_t pos = begin;
    ASSERT_EQ(nextChar(all, pos), c);
    ASSERT_EQ(pos, all.size());
    ASSERT_EQ(previousChar(all, pos), c);
    ASSERT_EQ(pos, begin);
  }
  EXPECT_TRUE(isValidUtf8(all));
  EXPECT_EQ(countChars(all), 0x110000u - 0x800u);
}

std::string repaired(std::string_view bytes, size_t step) {
  Utf8Repair repair;
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += step) {
    repair.push(bytes.substr(i, step), out);
    EXPECT_TRUE(isValidUtf8(out));
  }
  repair.finish(out);
  return out;
}

// Examples of Unicode's table of maximal subparts (section 3.9).
TEST(Utf8, RepairReplacesMaximalSubparts) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(repaired("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 1),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 1),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 1),
            r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 1), r + r + r + r + "A");
  EXPECT_EQ(repaired("\xF0\x9F\x98", 1), r);
  EXPECT_EQ(repaired("\xF0\x9F\x98\x80", 1), "\xF0\x9F\x98\x80");
}

TEST(Utf8, RepairIsTheSameInAnySteps) {
  std::mt19937 random(1);
  // Bytes that often make characters, and often just fail to.
  const std::string bytes = "a\x7F\x80\x8F\x90\x9F\xA0\xBF\xC2\xE0\xE4\xED\xF0\xF4\xFF";
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (size_t i = random() % 24; i > 0; --i) text += bytes[random() % bytes.size()];
    const std::string whole = repaired(text, text.size() + 1);
    EXPECT_TRUE(isValidUtf8(whole));
    if (isValidUtf8(text)) {
      EXPECT_EQ(whole, text);
    }
    for (const size_t step : {1, 2, 3}) EXPECT_EQ(repaired(text, step), whole);
  }
}

}  // namespace
}  // namespace dcc::text
