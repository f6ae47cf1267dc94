#include "runtime/text/truncation.h"

#include <gtest/gtest.h>

#include "runtime/base/file.h"
#include "runtime/text/tokenizer.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::text {
namespace {

Result<Truncation> read(const std::string& config, const std::string& tokenizer = "") {
  const testing::TemporaryDirectory dir;
  if (!config.empty()) {
    EXPECT_TRUE(writeFile(dir / "tokenizer_config.json", config).ok());
  }
  if (!tokenizer.empty()) {
    EXPECT_TRUE(writeFile(dir / "tokenizer.json", tokenizer).ok());
  }
  return readTruncation(dir.path(), 64);
}

TEST(Truncation, IsWhatTheFilesSay) {
  EXPECT_EQ(read("")->most, 64u);
  EXPECT_FALSE(read("")->left);
  EXPECT_EQ(read(R"({"model_max_length": 32})")->most, 32u);
  EXPECT_EQ(read(R"({"model_max_length": 512})")->most, 64u);
  EXPECT_EQ(read(R"({"model_max_length": 1000000000000000019884624838656})")->most, 64u);
  EXPECT_TRUE(read(R"({"truncation_side": "left"})")->left);
  const char* left = R"({"truncation": {"direction": "Left", "max_length": 8}})";
  EXPECT_TRUE(read("", left)->left);
  EXPECT_EQ(read("", left)->most, 64u);
  EXPECT_FALSE(read(R"({"truncation_side": "right"})", left)->left);
}

TEST(Truncation, RefusesWrongFields) {
  for (const char* config : {"[]", R"({"model_max_length": 0})", R"({"model_max_length": "a"})",
                             R"({"truncation_side": "middle"})", R"({"truncation_side": 3})"}) {
    const auto result = read(config);
    ASSERT_FALSE(result.ok()) << config;
    EXPECT_NE(result.error().message.find("tokenizer_config.json"), std::string::npos);
    EXPECT_EQ(result.error().fault, Fault::kUser);
  }
}

TEST(Tokenizer, EncodesAtMost) {
  const Tokenizer tokenizer =
      *Tokenizer::fromFile(DCC_SOURCE_DIR "/tests/models/tokenizers/bert/tokenizer.json");
  const std::vector<int32_t> all = *tokenizer.encode("to be or not to be");
  ASSERT_EQ(all.size(), 8u);
  uint64_t dropped = 0;
  for (const uint64_t most : {8u, 9u, 100u}) {
    EXPECT_EQ(*tokenizer.encodeAtMost("to be or not to be", most, false, dropped), all);
    EXPECT_EQ(dropped, 0u);
  }
  // The special tokens stay.
  EXPECT_EQ(*tokenizer.encodeAtMost("to be or not to be", 5, false, dropped),
            (std::vector<int32_t>{all[0], all[1], all[2], all[3], all[7]}));
  EXPECT_EQ(dropped, 3u);
  EXPECT_EQ(*tokenizer.encodeAtMost("to be or not to be", 5, true, dropped),
            (std::vector<int32_t>{all[0], all[4], all[5], all[6], all[7]}));
  EXPECT_EQ(dropped, 3u);
  EXPECT_EQ(*tokenizer.encodeAtMost("to be or not to be", 1, false, dropped),
            (std::vector<int32_t>{all[0], all[7]}));
  EXPECT_EQ(dropped, 6u);
}

}  // namespace
}  // namespace dcc::text
