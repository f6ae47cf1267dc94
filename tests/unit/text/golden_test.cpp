#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "golden.h"

namespace dcc::text {
namespace {

void expectGoldenOf(const std::string& dir, const std::string& golden) {
  const auto tokenizer = Tokenizer::fromFile(dir + "/tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  expectGolden(*tokenizer, readGolden(dir + "/" + golden));
}

TEST(TokenizerGolden, BundledModel) {
  expectGoldenOf(DCC_SOURCE_DIR "/examples/shakespeare-llama", "tokenizer_golden.json");
}

// Small tokenizers of the kinds that published models use.
class OwnGolden : public testing::TestWithParam<const char*> {};

TEST_P(OwnGolden, IsEqual) {
  expectGoldenOf(std::string(DCC_SOURCE_DIR "/tests/models/tokenizers/") + GetParam(),
                 "golden.json");
}

std::string nameOf(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '-' || c == '.') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, OwnGolden,
                         testing::Values("bert", "gemma", "gpt2", "llama2", "qwen2", "unigram"),
                         nameOf);

// Published tokenizers: others' data, not in the project. They are read from DCC_REAL_TOKENIZERS,
// or from where this project's reference data lies.
class RealGolden : public testing::TestWithParam<const char*> {};

TEST_P(RealGolden, IsEqual) {
  const char* set = std::getenv("DCC_REAL_TOKENIZERS");
  const std::filesystem::path all =
      set ? set : DCC_SOURCE_DIR "/../shared/reference/real_tokenizers";
  if (!std::filesystem::exists(all / GetParam() / "tokenizer.json")) {
    GTEST_SKIP() << "no " << (all / GetParam()).string()
                 << "; DCC_REAL_TOKENIZERS may name the folder with published tokenizers";
  }
  expectGoldenOf((all / GetParam()).string(), "golden.json");
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, RealGolden,
                         testing::Values("bert-base-uncased", "bert-multilingual-cased", "falcon",
                                         "gpt2", "mistral-7b-v0.3", "phi2", "phi3-mini", "qwen3",
                                         "roberta-base", "t5-small"),
                         nameOf);

}  // namespace
}  // namespace dcc::text
