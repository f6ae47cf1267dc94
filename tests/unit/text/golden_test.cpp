#include <gtest/gtest.h>

#include "golden.h"

namespace dcc::text {
namespace {

TEST(TokenizerGolden, BundledModel) {
  const std::string dir = DCC_SOURCE_DIR "/examples/shakespeare-llama";
  const auto tokenizer = Tokenizer::fromFile(dir + "/tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->vocabSize(), 2048u);
  expectGolden(*tokenizer, readGolden(dir + "/tokenizer_golden.json"));
}

}  // namespace
}  // namespace dcc::text
