// What the goldens of parts don't show: messages, and expressions that would run forever.
#include "runtime/text/regex.h"

#include <gtest/gtest.h>

namespace dcc::text {
namespace {

TEST(Regex, RefusesInOneLine) {
  for (const char* pattern :
       {"(",        ")",     "[",           "[a",     "[]",          "[z-a]",         "a\\",
        "\\p{Foo}", "\\p",   "\\xFF",       "\\u12G", "\\x{110000}", "\\y",           "(?<=a*)b",
        "(?~ab)",   "(?W)a", "a{1,100000}", "*",      "[a&&]",       "[[:nothing:]]", "\n("}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern;
    const std::string& message = regex.error().message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_NE(message.find("; "), std::string::npos) << message;
    EXPECT_EQ(regex.error().fault, Fault::kUser);
  }
}

Status searchAll(const char* pattern, const std::string& text, size_t* count) {
  DCC_ASSIGN(const Regex regex, Regex::compile(pattern));
  Matcher matcher(regex);
  std::vector<Span> matches;
  DCC_RETURN_IF_ERROR(matcher.findAll(text, matches));
  *count = matches.size();
  return Status::success();
}

TEST(Regex, CatastrophesEnd) {
  const std::string text(30'000, 'a');
  for (const char* pattern : {"(a|aa)+$|.", "(?:a|b|ab)*c|.", "(a+a+)+y|a",
                              "(.*)(.*)(.*)(.*)(.*)x|.", "(?:a?){30}a{30}b|a"}) {
    size_t count = 0;
    const Status status = searchAll(pattern, text + "!", &count);
    ASSERT_FALSE(status.ok()) << pattern << " found " << count;
    EXPECT_NE(status.error().message.find("gives up"), std::string::npos) << status.error().message;
    EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
  }
}

// The budget is one for all texts of a matcher: many small catastrophes are a large one.
TEST(Regex, SmallCatastrophesAddUp) {
  const auto regex = Regex::compile("(a+a+)+y|a");
  ASSERT_TRUE(regex.ok());
  Matcher matcher(*regex);
  std::vector<Span> matches;
  const std::string text(18, 'a');
  int texts = 0;
  while (texts < 10'000 && matcher.findAll(text, matches).ok()) ++texts;
  EXPECT_LT(texts, 10'000);
}

// Real expressions on long runs stay within the limit.
TEST(Regex, LongRunsAreFine) {
  const char* kLlama3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+"
      "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  for (const char* unit :
       {" ", "\n", "a", "1", "!", " \n", "\t a", "\xC2\xA0", "\xE4\xBD\xA0", " !\n"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    size_t count = 0;
    const Status status = searchAll(kLlama3, text, &count);
    EXPECT_TRUE(status.ok()) << testing::PrintToString(unit) << ": " << status.error().message;
    EXPECT_GT(count, 0u);
  }
}

}  // namespace
}  // namespace dcc::text
