// Prompts from lines and from JSON lines, and what their files say about begin and end.
#include "tools/drun/prompts.h"

#include <gtest/gtest.h>

#include <fstream>

#include "runtime/generate/generation_config.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::drun {
namespace {

std::string refused(std::string_view text) {
  const auto prompts = promptsFromJsonl(text, "in.jsonl");
  return prompts.ok() ? "accepted" : prompts.error().message;
}

TEST(Prompts, JsonLines) {
  const auto prompts = promptsFromJsonl(
      "{\"text\": \"a\\nb\"}\r\n\n  \n{\"input_ids\": [1, 2], \"other\": 3}\n{\"text\": \"\"}",
      "in.jsonl");
  ASSERT_TRUE(prompts.ok()) << prompts.error().message;
  ASSERT_EQ(prompts->size(), 3u);
  EXPECT_EQ((*prompts)[0].text, "a\nb");
  EXPECT_EQ((*prompts)[1].ids, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ((*prompts)[1].where, "in.jsonl:4");
  EXPECT_FALSE((*prompts)[1].text.has_value());
  EXPECT_EQ((*prompts)[2].text, "");
  EXPECT_TRUE(promptsFromJsonl("", "in.jsonl")->empty());
}

TEST(Prompts, BadJsonLinesAreNamed) {
  EXPECT_EQ(refused("{\"text\": \"a\"}\n{\"text\": 3}").rfind("in.jsonl:2: text", 0), 0u);
  EXPECT_EQ(refused("\n{\"text\": \n").rfind("in.jsonl:2:", 0), 0u) << refused("\n{\"text\": \n");
  // Line and column of the file, not of the line's text.
  EXPECT_EQ(refused("{}\n").rfind("in.jsonl:1: ", 0), 0u);
  EXPECT_EQ(refused("{\"text\": \"a\", \"input_ids\": [1]}").rfind("in.jsonl:1: ", 0), 0u);
  for (const char* ids : {"3", "[1.5]", "[-1]", "[\"1\"]", "[2147483648]", "[true]", "{}"}) {
    const std::string line = std::string("{\"input_ids\": ") + ids + "}";
    EXPECT_EQ(refused(line).rfind("in.jsonl:1: input_ids", 0), 0u) << refused(line);
  }
}

TEST(Prompts, PlainLines) {
  const auto prompts = promptsFromLines("a\n\nb c\r\nlast", "stdin");
  ASSERT_EQ(prompts.size(), 4u);
  EXPECT_EQ(prompts[1].text, "");
  EXPECT_EQ(prompts[2].text, "b c");
  EXPECT_EQ(prompts[3].where, "stdin:4");
  EXPECT_EQ(promptsFromLines("a\n", "stdin").size(), 1u);
}

TEST(Prompts, ATextNeedsATokenizer) {
  std::vector<Prompt> prompts = {{"in.jsonl:7", std::nullopt, {5}}};
  EXPECT_TRUE(encodePrompts(prompts, nullptr, "plan").ok());
  EXPECT_EQ(prompts[0].ids, std::vector<int32_t>{5});
  prompts.push_back({"in.jsonl:8", "x", {}});
  const Status status = encodePrompts(prompts, nullptr, "plan");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message.rfind("in.jsonl:8: ", 0), 0u);
}

TEST(GenerationConfig, FromEitherFile) {
  const auto read = [](const char* generation, const char* config) {
    testing::TemporaryDirectory dir;
    if (generation != nullptr) std::ofstream(dir / "generation_config.json") << generation;
    if (config != nullptr) std::ofstream(dir / "config.json") << config;
    return generate::readGenerationConfig(dir.path());
  };
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(read("{\"eos_token_id\": 2, \"bos_token_id\": 1}", nullptr)->eos, Ids{2});
  EXPECT_EQ(read("{\"eos_token_id\": [7, 9]}", "{\"eos_token_id\": 3}")->eos, (Ids{7, 9}));
  EXPECT_EQ(read("{\"eos_token_id\": null}", "{\"eos_token_id\": 3}")->eos, Ids{3});
  EXPECT_EQ(read("{}", "{\"bos_token_id\": 4}")->bos, 4);
  EXPECT_TRUE(read(nullptr, nullptr)->eos.empty());
  EXPECT_FALSE(read(nullptr, nullptr)->bos.has_value());
  for (const char* bad : {"{\"eos_token_id\": \"x\"}", "{\"eos_token_id\": [1, -1]}", "[]", "{"}) {
    EXPECT_FALSE(read(bad, nullptr).ok()) << bad;
  }
}

}  // namespace
}  // namespace dcc::drun
