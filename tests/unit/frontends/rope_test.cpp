#include "frontends/huggingface/rope.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>

#include "runtime/base/json.h"

namespace dcc::huggingface {
namespace {

constexpr std::string_view kGolden = DCC_SOURCE_DIR "/tests/unit/frontends/rope_golden.json";

Result<Rope> read(std::string_view text,
                  RopeModel model = {.rotary_dim = 32, .max_position_embeddings = 2048}) {
  Result<ConfigReader> config = ConfigReader::fromJson(text, "config.json");
  EXPECT_TRUE(config.ok());
  return readRope(*config, model);
}

std::string errorOf(std::string_view text, int64_t rotary_dim = 32) {
  Result<Rope> rope = read(text, {.rotary_dim = rotary_dim, .max_position_embeddings = 2048});
  return rope.ok() ? "" : rope.error().message;
}

// Distance in representable floats.
int64_t ulps(float a, float b) {
  auto order = [](float f) { return static_cast<int64_t>(std::bit_cast<int32_t>(f)); };
  return std::abs(order(a) - order(b));
}

TEST(Rope, FrequenciesEqualTransformers) {
  Result<nlohmann::json> golden = readJson(std::string(kGolden));
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  size_t exact = 0, all = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const auto& config = c["config"];
    Result<Rope> rope =
        read(config.dump(), {.rotary_dim = config["head_dim"],
                             .max_position_embeddings = config["max_position_embeddings"]});
    ASSERT_TRUE(rope.ok()) << rope.error().message;
    EXPECT_EQ(rope->scale, static_cast<float>(c["scale"].get<double>()));
    ASSERT_EQ(rope->frequencies.size(), c["frequencies"].size());
    for (size_t i = 0; i < rope->frequencies.size(); ++i) {
      float expected = c["frequencies"][i].get<float>();
      // torch's vectorised power is within one unit of the correctly rounded one, which is ours.
      EXPECT_LE(ulps(rope->frequencies[i], expected), 1) << "frequency " << i;
      exact += rope->frequencies[i] == expected;
      ++all;
    }
  }
  EXPECT_GT(all, 500u);
  EXPECT_GE(exact * 100, all * 99);
}

TEST(Rope, DynamicKeepsWhatTheKernelNeeds) {
  Result<Rope> rope =
      read(R"({"rope_theta": 20000.0, "rope_scaling": {"type": "dynamic", "factor": 2.5}})");
  ASSERT_TRUE(rope.ok()) << rope.error().message;
  ASSERT_TRUE(rope->dynamic.has_value());
  EXPECT_EQ(rope->dynamic->theta, 20000.0);
  EXPECT_EQ(rope->dynamic->factor, 2.5);
  EXPECT_EQ(rope->dynamic->original_positions, 2048);
  EXPECT_FALSE(read("{}")->dynamic.has_value());
}

TEST(Rope, PrecedenceOfSpellings) {
  // rope_scaling before rope_parameters, unless it is null or empty.
  EXPECT_EQ(read(R"({"rope_scaling": {"rope_type": "linear", "factor": 2},
                     "rope_parameters": {"rope_type": "linear", "factor": 4}})")
                ->frequencies[0],
            0.5f);
  for (std::string_view empty : {"null", "{}"}) {
    std::string text = R"({"rope_parameters": {"rope_type": "linear", "factor": 4},
                           "rope_scaling": )";
    EXPECT_EQ(read(text + std::string(empty) + "}")->frequencies[0], 0.25f);
  }
  // rope_type before type; theta in the block before theta beside it.
  EXPECT_EQ(read(R"({"rope_theta": 99.0, "rope_scaling": {"type": "linear", "rope_type": "default",
                     "rope_theta": 65536.0}})")
                ->frequencies[8],
            1.0f / 256);
}

// Phi 3 has one kind of scaling, and a length of its own that its block can't change.
TEST(Rope, OnlyLongRope) {
  const RopeModel phi3{.rotary_dim = 4,
                       .max_position_embeddings = 8192,
                       .default_original_positions = 4096,
                       .only_longrope = true};
  for (std::string_view name : {"longrope", "su", "yarn"}) {
    Result<Rope> rope = read(R"({"rope_scaling": {"short_factor": [1, 2], "long_factor": [4, 5],
                                 "original_max_position_embeddings": 7, "type": ")" +
                                 std::string(name) + "\"}}",
                             phi3);
    ASSERT_TRUE(rope.ok()) << rope.error().message;
    EXPECT_EQ(rope->frequencies, (std::vector<float>{1, 0.005f}));
    EXPECT_EQ(rope->beyond, (std::vector<float>{0.25f, 0.002f}));
    EXPECT_EQ(rope->original_positions, 4096);
    EXPECT_EQ(rope->scale, static_cast<float>(std::sqrt(1 + std::log(2.0) / std::log(4096.0))));
  }
  EXPECT_FALSE(read(R"({"rope_scaling": {"type": "linear", "factor": 2}})", phi3).ok());
}

// Gemma 3: a block of the caller's choice, and theta beside it under another name.
TEST(Rope, BlocksOfTheFamily) {
  Result<ConfigReader> config = ConfigReader::fromJson(
      R"({"rope_theta": 65536.0, "local": 256.0,
          "full": {"rope_type": "linear", "factor": 2}})",
      "config.json");
  ASSERT_TRUE(config.ok());
  RopeModel model{.rotary_dim = 4, .max_position_embeddings = 64};
  EXPECT_EQ(readRope(*config, config->object("full"), model)->frequencies[1], 1.0f / 512);
  model.theta_key = "local";
  EXPECT_EQ(readRope(*config, std::nullopt, model)->frequencies[1], 1.0f / 16);
}

TEST(Rope, ErrorsNameTheField) {
  EXPECT_EQ(errorOf(R"({"rope_scaling": {"rope_type": "proportional"}})"),
            "config.json: rope_scaling: rope_type: is \"proportional\"; default, linear, dynamic, "
            "llama3, yarn or longrope is expected");
  EXPECT_EQ(errorOf(R"({"rope_scaling": {"type": "longrope", "short_factor": [1, 2]}})"),
            "config.json: rope_scaling: short_factor: has 2 numbers; 16 are expected, one for each "
            "pair of columns that turns");
  EXPECT_EQ(errorOf(R"({"rope_parameters": {"full_attention": {"rope_theta": 5.0}}})"),
            "config.json: rope_parameters: full_attention: is a scaling of some layers; one for "
            "all is expected of this model");
  EXPECT_EQ(errorOf(R"({"rope_scaling": {"type": "linear"}})"),
            "config.json: rope_scaling: factor: is missing; a number is expected");
  EXPECT_EQ(errorOf(R"({"rope_scaling": {"type": "linear", "factor": -2}})"),
            "config.json: rope_scaling: factor: is -2; a number above 0 is expected");
  EXPECT_EQ(errorOf(R"({"rope_theta": 1.0})"),
            "config.json: rope_theta: is not above 1; 10000, say, is expected");
  EXPECT_EQ(errorOf(R"({"rope_theta": "big"})"),
            "config.json: rope_theta: is \"big\"; a number is expected");
  EXPECT_EQ(errorOf(R"({"rope_parameters": [1]})"),
            "config.json: rope_parameters: is an array; an object is expected");
  EXPECT_EQ(
      errorOf("{}", 15),
      "config.json: head_dim: gives heads of 15 rotary columns; an even number up to 65536 is "
      "expected");
  EXPECT_NE(errorOf("{}", 1 << 30).find("an even number up to 65536"), std::string::npos);
  EXPECT_NE(errorOf(R"({"rope_parameters": {"rope_type": "llama3", "factor": 8,
                        "low_freq_factor": 4, "high_freq_factor": 4}})"),
            "");
  EXPECT_NE(errorOf(R"({"rope_scaling": {"type": "dynamic", "factor": 2}})", 2), "");
  EXPECT_NE(errorOf(R"({"rope_scaling": {"type": "linear", "factor": 1e-45}})"), "");
}

}  // namespace
}  // namespace dcc::huggingface
