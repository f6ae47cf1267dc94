#include "tools/drun/labels.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/base/file.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::drun {
namespace {

Result<Labels> read(const std::string& config, size_t count) {
  const testing::TemporaryDirectory dir;
  if (!config.empty()) {
    EXPECT_TRUE(writeFile(dir / "config.json", config).ok());
  }
  return Labels::read(dir.path(), count);
}

TEST(Labels, Names) {
  EXPECT_EQ(read("", 2)->name(1), "LABEL_1");
  EXPECT_EQ(read("{}", 2)->name(1), "LABEL_1");
  const Labels labels = *read(R"({"id2label": {"1": "good", "0": "bad"}})", 2);
  EXPECT_EQ(labels.name(0), "bad");
  EXPECT_EQ(labels.name(1), "good");
}

TEST(Labels, RefusesWhatDoesNotFit) {
  for (const char* config :
       {R"({"id2label": {"0": "a"}})", R"({"id2label": {"0": "a", "2": "b"}})",
        R"({"id2label": {"0": "a", "1": "a"}})", R"({"id2label": {"0": "a", "1": 3}})",
        R"({"id2label": [1, 2]})", "[]", "{"}) {
    const auto labels = read(config, 2);
    ASSERT_FALSE(labels.ok()) << config;
    EXPECT_NE(labels.error().message.find("config.json"), std::string::npos);
  }
}

TEST(Labels, Scores) {
  const float logits[] = {1, -2, 100};
  const std::vector<double> softmax = read("", 3)->scores(logits);
  EXPECT_NEAR(softmax[0], std::exp(-99.0), 1e-50);
  EXPECT_NEAR(softmax[2], 1, 1e-12);
  const std::vector<double> each =
      read(R"({"problem_type": "multi_label_classification"})", 3)->scores(logits);
  EXPECT_NEAR(each[0], 1 / (1 + std::exp(-1.0)), 1e-12);
  EXPECT_NEAR(each[1], 1 / (1 + std::exp(2.0)), 1e-12);
  // As transformers: one label is scored by itself, a regression not at all.
  EXPECT_NEAR(read("", 1)->scores(std::span(logits, 1))[0], 1 / (1 + std::exp(-1.0)), 1e-12);
  EXPECT_EQ(read(R"({"problem_type": "regression"})", 1)->scores(std::span(logits, 1))[0], 1);
}

}  // namespace
}  // namespace dcc::drun
