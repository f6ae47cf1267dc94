#include "frontends/huggingface/config.h"

#include <gtest/gtest.h>

namespace dcc::huggingface {
namespace {

ConfigReader reader(std::string_view text) {
  Result<ConfigReader> config = ConfigReader::fromJson(text, "config.json");
  EXPECT_TRUE(config.ok()) << config.error().message;
  return std::move(config).value();
}

// The error that reading `key` as an integer leaves.
std::string integerError(std::string_view text, std::string_view key, Range range = {}) {
  ConfigReader config = reader(text);
  int64_t value = config.integer(key, range);
  EXPECT_GE(value, range.least);
  EXPECT_LE(value, range.most);
  return config.status().ok() ? "" : config.status().error().message;
}

TEST(Config, ReadsFieldsAndDefaults) {
  ConfigReader config = reader(R"({"n": 3, "exact": 4.0, "eps": 1e-5, "yes": true, "null": null,
                                   "act": "silu", "nested": {"x": 2}, "empty": {}})");
  EXPECT_EQ(config.integer("n"), 3);
  EXPECT_EQ(config.integer("exact"), 4);
  EXPECT_EQ(config.integerOr("null", 7), 7);
  EXPECT_EQ(config.integerOr("absent", -1), -1);
  EXPECT_EQ(config.positive("eps"), 1e-5);
  EXPECT_EQ(config.numberOr("absent", 2.5), 2.5);
  EXPECT_TRUE(config.booleanOr("yes", false));
  EXPECT_TRUE(config.booleanOr("null", true));
  EXPECT_EQ(config.stringOr("act", "gelu"), "silu");
  EXPECT_EQ(config.object("nested")->integer("x"), 2);
  EXPECT_FALSE(config.object("empty").has_value());
  EXPECT_FALSE(config.object("null").has_value());
  EXPECT_TRUE(config.status().ok());
}

TEST(Config, IntegersOutOfRange) {
  EXPECT_EQ(integerError(R"({"n": -1})", "n"),
            "config.json: n: is -1; an integer from 1 up to 2147483647 is expected");
  EXPECT_EQ(integerError("{}", "n"),
            "config.json: n: is missing; an integer from 1 up to 2147483647 is expected");
  for (std::string_view bad : {"0", "1e30", "2.5", "99999999999999999999", "\"4\"", "true", "[4]",
                               "-9223372036854775809", "2147483648"}) {
    std::string text = R"({"n": )" + std::string(bad) + "}";
    EXPECT_NE(integerError(text, "n"), "") << text;
  }
}

TEST(Config, KeepsTheFirstErrorAndSharesItWithNestedReaders) {
  ConfigReader config = reader(R"({"a": "x", "b": {"c": -1}})");
  config.object("b")->positive("c");
  config.integer("a");
  ASSERT_FALSE(config.status().ok());
  EXPECT_EQ(config.status().error().message,
            "config.json: b: c: is -1; a number above 0 is expected");
  EXPECT_EQ(config.status().error().fault, Fault::kUser);
}

TEST(Config, NotJson) {
  for (std::string_view text : {"", "{", "[]", R"({"n": NaN})", R"({"n": 1, "n": 2})", "{} x",
                                R"({"n": 1e999})", "{\"n\": \"\xff\"}"}) {
    EXPECT_FALSE(ConfigReader::fromJson(text, "config.json").ok()) << text;
  }
  EXPECT_FALSE(ConfigReader::fromJson(std::string_view("{}\0x", 4), "config.json").ok());
  Result<ConfigReader> nan = ConfigReader::fromJson("{\n  \"eps\": NaN\n}", "config.json");
  ASSERT_FALSE(nan.ok());
  EXPECT_EQ(nan.error().message.rfind("config.json:2:", 0), 0u) << nan.error().message;
  EXPECT_FALSE(ConfigReader::open("/nonexistent/config.json").ok());
}

TEST(Config, TypeAndArchitectureInBothSpellings) {
  EXPECT_EQ(reader(R"({"torch_dtype": "bfloat16"})").dtype(), DType::kBF16);
  EXPECT_EQ(reader(R"({"torch_dtype": "torch.float16"})").dtype(), DType::kF16);
  EXPECT_EQ(reader(R"({"dtype": "float32", "torch_dtype": "float16"})").dtype(), DType::kF32);
  EXPECT_EQ(reader("{}").dtype(), std::nullopt);
  ConfigReader bad = reader(R"({"torch_dtype": "int64"})");
  EXPECT_EQ(bad.dtype(), std::nullopt);
  EXPECT_EQ(bad.status().error().message,
            "config.json: torch_dtype: is \"int64\"; float32, bfloat16 or float16 is expected");

  EXPECT_EQ(reader(R"({"architectures": ["LlamaForCausalLM"]})").architecture(),
            "LlamaForCausalLM");
  EXPECT_EQ(reader(R"({"model_type": "llama"})").modelType(), "llama");
  EXPECT_EQ(reader(R"({"architectures": []})").architecture(), "");
  ConfigReader wrong = reader(R"({"architectures": "LlamaForCausalLM"})");
  EXPECT_EQ(wrong.architecture(), "");
  EXPECT_FALSE(wrong.status().ok());
}

}  // namespace
}  // namespace dcc::huggingface
