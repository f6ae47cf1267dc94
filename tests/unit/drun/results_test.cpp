// What generation prints, captured from standard output.
#include "tools/drun/results.h"

#include <gtest/gtest.h>

#include "runtime/text/tokenizer.h"

namespace dcc::drun {
namespace {

using generate::Finish;

text::Tokenizer tokenizer() {
  return text::Tokenizer::fromFile(DCC_SOURCE_DIR "/examples/shakespeare-llama/tokenizer.json")
      .value();
}

class ResultsTest : public testing::Test {
 protected:
  void expectPrompts(Results& results, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      results.expect({"in:" + std::to_string(i + 1), "p" + std::to_string(i), {7}});
    }
  }
  std::string printed() { return testing::internal::GetCapturedStdout(); }

  text::Tokenizer tokenizer_ = tokenizer();
  Output output_{nullptr};
};

TEST_F(ResultsTest, TheFirstPromptStreamsTheOthersWait) {
  const std::vector<int32_t> a = tokenizer_.encode("one two", false).value();
  const std::vector<int32_t> b = tokenizer_.encode("three", false).value();
  Results results(&tokenizer_, false, output_, "max_seq_len 9");
  expectPrompts(results, 2);
  testing::internal::CaptureStdout();
  for (const int32_t id : b) EXPECT_TRUE(results.onToken(1, id));
  results.onFinish(1, Finish::kEos);
  EXPECT_EQ(printed(), "");
  testing::internal::CaptureStdout();
  results.onToken(0, a[0]);
  const std::string first = printed();
  EXPECT_FALSE(first.empty());
  testing::internal::CaptureStdout();
  for (size_t i = 1; i < a.size(); ++i) results.onToken(0, a[i]);
  results.onFinish(0, Finish::kLength);
  EXPECT_EQ(first + printed(), "one two\nthree\n");
}

TEST_F(ResultsTest, NeverHalfACharacter) {
  const std::vector<int32_t> ids = tokenizer_.encode("\u2014\U0001F600", false).value();
  ASSERT_GT(ids.size(), 3u) << "bytes of one character in several tokens";
  Results results(&tokenizer_, false, output_, "");
  expectPrompts(results, 1);
  std::string all;
  for (const int32_t id : ids) {
    testing::internal::CaptureStdout();
    results.onToken(0, id);
    const std::string part = printed();
    EXPECT_TRUE(part.empty() || part == "\u2014" || part == "\U0001F600") << part;
    all += part;
  }
  EXPECT_EQ(all, "\u2014\U0001F600");
  // Cut in the middle: a replacement character at the very end, and only there.
  Results cut(&tokenizer_, false, output_, "");
  expectPrompts(cut, 1);
  testing::internal::CaptureStdout();
  cut.onToken(0, ids[0]);
  EXPECT_EQ(printed(), "");
  testing::internal::CaptureStdout();
  cut.onFinish(0, Finish::kLength);
  EXPECT_EQ(printed(), "\uFFFD\n");
}

TEST_F(ResultsTest, JsonLinesInInputOrder) {
  const std::vector<int32_t> a = tokenizer_.encode("one", false).value();
  Results results(&tokenizer_, true, output_, "max_seq_len 9");
  results.expect({"in:1", "say \"x\"", {7}});
  results.expect({"in:2", std::nullopt, a});
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  results.onFinish(1, Finish::kContext);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "in:2: ended after 0 new tokens by max_seq_len 9\n");
  results.onToken(0, a[0]);
  results.onFinish(0, Finish::kLength);
  const std::string id = std::to_string(a[0]);
  EXPECT_EQ(
      printed(), "{\"prompt\":\"say \\\"x\\\"\",\"input_ids\":[7],\"output_ids\":[" + id +
                     "],\"text\":\"" + tokenizer_.decode(std::vector<int32_t>{a[0]}) +
                     "\"}\n"
                     "{\"prompt\":\"one\",\"input_ids\":[" +
                     [&] {
                       std::string list;
                       for (const int32_t i : a)
                         list += (list.empty() ? "" : ",") + std::to_string(i);
                       return list;
                     }() +
                     "],\"output_ids\":[],\"text\":\"\"}\n");
}

TEST_F(ResultsTest, WithoutATokenizerIdsAreTheText) {
  Results plain(nullptr, false, output_, ""), json(nullptr, true, output_, "");
  plain.expect({"in:1", std::nullopt, {7}});
  json.expect({"in:1", std::nullopt, {7}});
  testing::internal::CaptureStdout();
  for (Results* results : {&plain, &json}) {
    results->onToken(0, 5);
    results->onToken(0, 6);
    results->onFinish(0, Finish::kLength);
  }
  EXPECT_EQ(printed(),
            "5 6\n{\"prompt\":null,\"input_ids\":[7],\"output_ids\":[5,6],\"text\":null}\n");
}

}  // namespace
}  // namespace dcc::drun
