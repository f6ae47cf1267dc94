// What a timeline keeps, and what it does not.
#include "runtime/executor/timeline.h"

#include <gtest/gtest.h>

#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc {
namespace {

using plan::testing::kDecode;

class TimelineTest : public ::testing::Test {
 protected:
  TimelineTest() : bytes_(plan::pack(plan_)) {}

  const plan::fb::Plan& plan() const { return *plan::fb::GetPlan(bytes_.data()); }
  uint32_t instructions() const {
    return plan::rows(plan().entries()->Get(kDecode)->instructions()).size();
  }
  // A step of two sequences, as a program runs it.
  void run(Timeline& timeline) const {
    const std::vector<int32_t> tokens = {1, 2, 3}, positions = {7, 0, 1}, starts = {0, 1, 3};
    Step step;
    step.entry = kDecode;
    step.tokens = tokens;
    step.positions = positions;
    step.starts = starts;
    timeline.begin(step);
    timeline.begins(steadyNanoseconds());
    for (uint32_t i = 0; i < instructions(); ++i) {
      EXPECT_TRUE(timeline.ran({kDecode, i, steadyNanoseconds(), {}, nullptr}).ok());
    }
    timeline.end(step);
  }

  plan::fb::PlanT plan_ = std::move(plan::testing::examplePlans()[0]);
  std::vector<uint8_t> bytes_;
};

TEST_F(TimelineTest, KeepsEveryInstructionInOrder) {
  Timeline timeline(plan());
  const int64_t before = steadyNanoseconds();
  run(timeline);
  run(timeline);
  const int64_t after = steadyNanoseconds();
  ASSERT_EQ(timeline.steps(), 2u);
  EXPECT_EQ(timeline.dropped(), 0u);
  int64_t last = before;
  for (const uint32_t index : {0u, 1u}) {
    const Timeline::StepTimes step = timeline.step(index);
    EXPECT_EQ(step.entry, kDecode);
    EXPECT_LE(last, step.begin);
    EXPECT_LE(step.begin, step.first);
    ASSERT_EQ(step.ends.size(), instructions());
    last = step.first;
    for (const int64_t end : step.ends) {
      EXPECT_LE(last, end);
      last = end;
    }
    EXPECT_LE(last, step.end);
    last = step.end;
    ASSERT_EQ(step.sequences.size(), 2u);
    EXPECT_EQ(step.sequences[0].first, 7);
    EXPECT_EQ(step.sequences[0].tokens, 1);
    EXPECT_EQ(step.sequences[1].first, 0);
    EXPECT_EQ(step.sequences[1].tokens, 2);
  }
  EXPECT_LE(last, after);
}

TEST_F(TimelineTest, KeepsTheFirstStepsWhole) {
  const uint32_t n = instructions();
  for (const Timeline::Capacity& capacity : std::vector<Timeline::Capacity>{
           {2, 100 * n, 100}, {100, 3 * n - 1, 100}, {100, 100 * n, 5}}) {
    Timeline timeline(plan(), capacity);
    for (int i = 0; i < 5; ++i) run(timeline);
    EXPECT_EQ(timeline.steps(), 2u);
    EXPECT_EQ(timeline.dropped(), 3u);
    EXPECT_EQ(timeline.step(1).ends.size(), n);
  }
}

}  // namespace
}  // namespace dcc
