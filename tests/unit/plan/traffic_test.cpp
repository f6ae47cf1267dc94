// What a step reads, against a count by hand.
#include "runtime/plan/traffic.h"

#include <gtest/gtest.h>

#include "runtime/plan/plan.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc::plan {
namespace {

using testing::kDecode;

std::vector<WeightTraffic> trafficOf(uint32_t ranks, DType weights, auto change) {
  testing::ExampleOptions options;
  options.ranks = ranks;
  options.weights = weights;
  std::vector<WeightTraffic> traffic;
  for (fb::PlanT& plan : testing::examplePlans(options)) {
    change(plan);
    const std::vector<uint8_t> bytes = pack(plan);
    traffic.push_back(weightTraffic(*fb::GetPlan(bytes.data()), kDecode));
  }
  return traffic;
}

std::vector<WeightTraffic> trafficOf(uint32_t ranks, DType weights) {
  return trafficOf(ranks, weights, [](fb::PlanT&) {});
}

TEST(Traffic, MatricesWholeNormsWholeTablesApart) {
  // Elements of q, k, v; o; gate, up; down; head. Three norms of 8 f32 are on every rank.
  constexpr uint64_t kOne = 32 * 8 + 8 * 16 + 24 * 8 + 8 * 12 + 16 * 8;
  for (const WeightTraffic& t : trafficOf(1, DType::kF32)) {
    EXPECT_EQ(t.whole, 4 * kOne + 3 * 8 * 4);
    EXPECT_EQ(t.tables, 4u * 16 * 8);
    EXPECT_EQ(t.dtype, DType::kF32);
  }
  const auto halves = trafficOf(2, DType::kBF16);
  ASSERT_EQ(halves.size(), 2u);
  for (const WeightTraffic& t : halves) {
    EXPECT_EQ(t.whole, 2 * kOne / 2 + 3 * 8 * 4);
    EXPECT_EQ(t.tables, 2u * 8 * 8);
    EXPECT_EQ(t.dtype, DType::kBF16);
  }
  // More ranks than KV heads: each of the two is on two ranks.
  for (const WeightTraffic& t : trafficOf(4, DType::kF32)) {
    EXPECT_EQ(t.whole, 4 * (kOne + 2 * 2 * 4 * 8) / 4 + 3 * 8 * 4);
    EXPECT_EQ(t.tables, 4u * 4 * 8);
  }
}

TEST(Traffic, ATableThatIsTheHeadTooIsReadWhole) {
  uint64_t head = 0, table = 0;
  const auto tie = [&](fb::PlanT& plan) {
    fb::EntryT& entry = *plan.entries[kDecode];
    head = entry.instructions.back()->body.AsGemm()->weight;
    table = entry.instructions.front()->body.AsKernel()->operands[1].index();
    entry.instructions.back()->body.AsGemm()->weight = static_cast<uint32_t>(table);
  };
  const WeightTraffic apart = trafficOf(1, DType::kF32)[0];
  const WeightTraffic tied = trafficOf(1, DType::kF32, tie)[0];
  EXPECT_NE(head, table);
  EXPECT_EQ(tied.whole, apart.whole);  // head and table have one size
  EXPECT_EQ(tied.tables, apart.tables);
}

TEST(Traffic, ABiasIsReadToo) {
  const auto bias = [](fb::PlanT& plan) {
    fb::EntryT& entry = *plan.entries[kDecode];
    for (auto& instruction : entry.instructions) {
      if (fb::GemmT* gemm = instruction->body.AsGemm()) {
        gemm->bias = static_cast<int32_t>(plan.weights.size());
        break;
      }
    }
    plan.weights.push_back(std::make_unique<fb::WeightT>());
    plan.weights.back()->rows = 1;
    plan.weights.back()->cols = 32;
  };
  EXPECT_EQ(trafficOf(1, DType::kF32, bias)[0].whole, trafficOf(1, DType::kF32)[0].whole + 32 * 4);
}

}  // namespace
}  // namespace dcc::plan
