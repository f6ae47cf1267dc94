// The arithmetic of `drun bench`.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/drun/bench_report.h"

namespace dcc::drun {
namespace {

TEST(Percentile, IsAValueThatEnoughDoNotExceed) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({7}, 0), 7);
  EXPECT_EQ(percentile({7}, 1), 7);
  const std::vector<double> ten = {10, 1, 9, 2, 8, 3, 7, 4, 6, 5};
  EXPECT_EQ(percentile(ten, 0.5), 5);
  EXPECT_EQ(percentile(ten, 0.51), 6);
  EXPECT_EQ(percentile(ten, 0.9), 9);
  EXPECT_EQ(percentile(ten, 0.99), 10);
  EXPECT_EQ(percentile(ten, 1), 10);
}

// Two prompts of 6 tokens in steps of 8: the first sequence writes while the second still reads.
BenchTimes twoSequences() {
  BenchTimes times(2);
  times.step({8, 12}, {.now = 1.0, .waited = 0.5});
  times.token(0);
  times.step({12, 12}, {.now = 1.5, .waited = 0.75});
  times.token(0);
  times.token(1);
  times.step({12, 12}, {.now = 1.6, .waited = 0.8, .reading = {2000, 0.5}});
  times.token(0);
  times.token(1);
  times.step({12, 12}, {.now = 1.9, .waited = 1.0, .reading = {8000, 0.8}});
  times.token(1);
  return times;
}

TEST(BenchTimes, StepsThatReadPromptsAreNotDecoding) {
  const BenchTimes times = twoSequences();
  EXPECT_EQ(times.promptTokens(), 12);
  EXPECT_DOUBLE_EQ(times.prefillSeconds(), 1.5);
  EXPECT_DOUBLE_EQ(times.firstTokenSeconds(), (1.0 + 1.5) / 2);
  ASSERT_EQ(times.decodeSteps().size(), 2u);
  EXPECT_NEAR(times.decodeSteps()[0], 0.1, 1e-12);
  EXPECT_NEAR(times.decodeSteps()[1], 0.3, 1e-12);
  EXPECT_NEAR(times.decodeSeconds(), 0.4, 1e-12);
  EXPECT_EQ(times.decodeTokens(), 3u);
  ASSERT_EQ(times.decodeHost().size(), 2u);
  EXPECT_NEAR(times.decodeHost()[0], 0.05, 1e-12);
  EXPECT_NEAR(times.decodeHost()[1], 0.1, 1e-12);
}

BenchFacts facts() {
  BenchFacts facts;
  facts.model = "some model";
  facts.cpu = "some cpu";
  facts.kernels = "AVX9";
  facts.ranks = 2;
  facts.threads = 3;
  facts.traffic.dtype = DType::kBF16;
  facts.traffic.whole = 1000;
  facts.traffic.tables = 512;
  facts.vocabulary = 16;
  facts.load_seconds = 0.25;
  return facts;
}

TEST(BenchReport, ATokenReadsItsRowAndItsShareOfTheRest) {
  EXPECT_EQ(stepBytes(facts(), 1), 1032);
  EXPECT_EQ(stepBytes(facts(), 2), 1064);
}

TEST(BenchReport, TokensAskForTheirExpertsUntilThereAreNoMore) {
  BenchFacts sparse = facts();
  sparse.traffic.experts = 800;
  sparse.traffic.experts_of_token = 300;
  EXPECT_EQ(stepBytes(sparse, 1), 1032 + 300);
  EXPECT_EQ(stepBytes(sparse, 2), 1064 + 600);
  EXPECT_EQ(stepBytes(sparse, 4), 1128 + 800);
  const auto line = nlohmann::json::parse(benchReport(sparse, {6, 3, 2}, twoSequences(), true));
  EXPECT_EQ(line["expert_bytes_per_token"], 300);
  EXPECT_EQ(line["weight_bytes_per_token"], 832);
  const std::string text = benchReport(sparse, {6, 3, 2}, twoSequences(), false);
  EXPECT_NE(text.find("832 B per token (experts as if no two tokens shared one), 8.32 kB/s\n"),
            std::string::npos)
      << text;
}

TEST(BenchReport, Json) {
  const std::string text = benchReport(facts(), {6, 3, 2}, twoSequences(), true);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto line = nlohmann::json::parse(text);
  EXPECT_DOUBLE_EQ(line["prefill_tokens_per_s"], 12 / 1.5);
  EXPECT_NEAR(line["decode_tokens_per_s"], 3 / 0.4, 1e-9);
  EXPECT_NEAR(line["token_p50_s"], 0.1, 1e-12);
  EXPECT_NEAR(line["token_p99_s"], 0.3, 1e-12);
  EXPECT_EQ(line["weight_bytes_per_token"], 532);
  // Two steps of 1064 bytes in 0.4 s.
  EXPECT_NEAR(line["decode_bandwidth_fraction"], 5320 / 10000.0, 1e-9);
  EXPECT_EQ(line["ranks"], 2);
  EXPECT_EQ(line["threads"], 3);
  EXPECT_EQ(line["batch"], 2);
  EXPECT_EQ(line["weight_dtype"], "bf16");
}

TEST(BenchReport, OfADeviceWhatItCopiesAndWhatTheHostTakes) {
  BenchFacts device = facts();
  EXPECT_EQ(
      nlohmann::json::parse(benchReport(device, {6, 3, 2}, twoSequences(), true))["host_p50_s"], 0);
  device.copy_bandwidth = 53200;
  const auto line = nlohmann::json::parse(benchReport(device, {6, 3, 2}, twoSequences(), true));
  EXPECT_NEAR(line["decode_bandwidth_fraction"], 0.1, 1e-9);
  EXPECT_NEAR(line["host_p50_s"], 0.05, 1e-12);
  const std::string text = benchReport(device, {6, 3, 2}, twoSequences(), false);
  EXPECT_NE(text.find("host        p50 50000.0 us of each decode step\n"), std::string::npos)
      << text;
}

TEST(BenchReport, Table) {
  const std::string text = benchReport(facts(), {6, 3, 2}, twoSequences(), false);
  EXPECT_NE(text.find("prefill     8.0 tokens/s: 2 prompts of 6 tokens in 1.500 s\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("decode      7.50 tokens/s: 3 tokens each\n"), std::string::npos) << text;
  EXPECT_NE(text.find("weights     532 B per token, 5.32 kB/s\n"), std::string::npos) << text;
  EXPECT_NE(text.find("memory      10.0 kB/s, of which decoding takes 53 %\n"), std::string::npos)
      << text;
}

}  // namespace
}  // namespace dcc::drun
