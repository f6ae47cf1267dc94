// generation_config.json, and what the command line makes of it.
#include "runtime/generate/generation_config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

namespace dcc::generate {
namespace {

class GenerationConfigTest : public ::testing::Test {
 protected:
  Result<GenerationConfig> read(const std::string& json) {
    std::ofstream(dir_ / "generation_config.json") << json;
    return readGenerationConfig(dir_.path());
  }

  SamplingOptions chosen(const std::string& json, const SamplingChoice& given = {}) {
    const auto config = read(json);
    EXPECT_TRUE(config.ok()) << config.error().message;
    return config.ok() ? chooseSampling(*config, given) : SamplingOptions();
  }

  // Without the directory.
  std::string error(const std::string& json) {
    const auto config = read(json);
    std::string message = config.ok() ? config->unsupported : config.error().message;
    if (message.rfind(dir_.path(), 0) == 0) message.erase(0, dir_.path().size() + 1);
    return message;
  }

  testing::TemporaryDirectory dir_;
};

TEST_F(GenerationConfigTest, GreedyUnlessItAsksForDraws) {
  for (const char* json : {"{}", R"({"do_sample": false, "temperature": 0.6, "top_p": 0.9})",
                           R"({"do_sample": null, "temperature": 0.6})"}) {
    EXPECT_EQ(chosen(json).temperature, 0) << json;
  }
  EXPECT_EQ(chosen(R"({"repetition_penalty": 1.05})").repetition_penalty, 1.05);
}

TEST_F(GenerationConfigTest, DrawsAsTransformersDoes) {
  const SamplingOptions usual = chosen(R"({"do_sample": true})");
  EXPECT_EQ(usual.temperature, 1);
  EXPECT_EQ(usual.top_k, 50u);  // transformers' default
  EXPECT_EQ(usual.top_p, 1);
  EXPECT_EQ(usual.min_p, 0);
  EXPECT_EQ(usual.repetition_penalty, 1);
  const SamplingOptions all =
      chosen(R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1,
                 "repetition_penalty": 1.05})");
  EXPECT_EQ(all.temperature, 0.6);
  EXPECT_EQ(all.top_k, 20u);
  EXPECT_EQ(all.top_p, 0.95);
  EXPECT_EQ(all.min_p, 0.1);
  EXPECT_EQ(all.repetition_penalty, 1.05);
  EXPECT_EQ(chosen(R"({"do_sample": true, "top_k": 0})").top_k, 0u);
  EXPECT_GT(chosen(R"({"do_sample": true, "top_p": 0})").top_p, 0);  // the likeliest is left
}

TEST_F(GenerationConfigTest, TheCommandLineComesFirst) {
  const std::string draws = R"({"do_sample": true, "temperature": 0.6, "top_k": 20})";
  EXPECT_EQ(chosen(draws, {.temperature = 0}).temperature, 0);
  EXPECT_EQ(chosen(draws, {.temperature = 0.9}).temperature, 0.9);
  EXPECT_EQ(chosen(draws, {.temperature = 0.9}).top_k, 20u);
  EXPECT_EQ(chosen(draws, {.top_k = 0}).top_k, 0u);
  EXPECT_EQ(chosen(draws, {.seed = 7}).seed, 7u);
  EXPECT_EQ(chosen(draws, {.seed = 7}).temperature, 0.6);
  EXPECT_EQ(chosen(draws, {.repetition_penalty = 2}).repetition_penalty, 2);
  // Whoever says how to draw wants draws; of the whole vocabulary, unless told otherwise.
  EXPECT_EQ(chosen("{}", {.seed = 7}).temperature, 1);
  EXPECT_EQ(chosen("{}", {.seed = 7}).top_k, 0u);
  EXPECT_EQ(chosen("{}", {.top_p = 0.9}).temperature, 1);
  EXPECT_EQ(chosen("{}", {.min_p = 0.1}).temperature, 1);
  EXPECT_EQ(chosen("{}", {.temperature = 0.5}).temperature, 0.5);
  EXPECT_EQ(chosen("{}", {.temperature = 0, .top_k = 3}).temperature, 0);
  EXPECT_EQ(chosen("{}", {.repetition_penalty = 1.1}).temperature, 0);
  EXPECT_EQ(chosen("{}", {.top_k = 0}).temperature, 0);
  EXPECT_EQ(chosen(R"({"temperature": 0.6, "top_k": 5})", {.seed = 1}).temperature, 0.6);
  EXPECT_EQ(chosen(R"({"temperature": 0.6, "top_k": 5})", {.seed = 1}).top_k, 5u);
}

TEST_F(GenerationConfigTest, NewTokens) {
  EXPECT_EQ(read(R"({"max_new_tokens": 2048})")->max_new_tokens, 2048u);
  EXPECT_FALSE(read(R"({"max_length": 4096})")->max_new_tokens.has_value());
}

TEST_F(GenerationConfigTest, MistakesNameTheField) {
  const std::string file = "generation_config.json: ";
  EXPECT_EQ(error(R"({"do_sample": "yes"})"),
            file + "do_sample: is \"yes\"; true or false is expected");
  EXPECT_EQ(error(R"({"do_sample": true, "temperature": 0})"),
            file + "temperature: is 0; a number above 0 is expected");
  EXPECT_EQ(error(R"({"temperature": -1})"),
            file + "temperature: is -1; a number above 0 is expected");
  EXPECT_EQ(error(R"({"temperature": "hot"})"),
            file + "temperature: is \"hot\"; a number is expected");
  EXPECT_EQ(error(R"({"top_k": -1})"),
            file + "top_k: is -1; an integer from 0 up to 2147483647 is expected");
  EXPECT_EQ(error(R"({"top_p": 1.5})"), file + "top_p: is 1.5; a number from 0 to 1 is expected");
  EXPECT_EQ(error(R"({"min_p": [1]})"), file + "min_p: is an array; a number is expected");
  EXPECT_EQ(error(R"({"repetition_penalty": 0})"),
            file + "repetition_penalty: is 0; a number above 0 is expected");
  EXPECT_EQ(error(R"({"max_new_tokens": 0})"),
            file + "max_new_tokens: is 0; an integer from 1 up to 2147483647 is expected");
  EXPECT_EQ(error(R"({"eos_token_id": [1, "x"]})"),
            file + "eos_token_id: must be a token id or a list of them");
}

TEST_F(GenerationConfigTest, WhatIsNotBuiltIsSaid) {
  const std::string file = "generation_config.json: ";
  EXPECT_EQ(error(R"({"num_beams": 4})"),
            file + "num_beams: is 4, which is not built yet; without it is right");
  EXPECT_EQ(error(R"({"bad_words_ids": [[5]]})"),
            file + "bad_words_ids: is an array, which is not built yet; without it is right");
  EXPECT_EQ(error(R"({"do_sample": true, "typical_p": 0.9})"),
            file + "typical_p: is 0.9, which is not built yet; without it is right");
  // With no effect.
  EXPECT_EQ(
      error(R"({"num_beams": 1, "no_repeat_ngram_size": 0, "suppress_tokens": [], "typical_p": 0.9,
                      "guidance_scale": null, "max_length": 20, "transformers_version": "5.23.0"})"),
      "");
}

}  // namespace
}  // namespace dcc::generate
