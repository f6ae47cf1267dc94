#include <gtest/gtest.h>

#include <functional>

#include "example_plan.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

using testing::examplePlans;

Status load(const std::vector<uint8_t>& bytes) {
  auto plan = Plan::fromBytes(bytes, "rank_0.dplan");
  return plan.ok() ? Status::success() : Status(plan.error());
}

TEST(Verify, ExamplePlansAreValidAtEveryDegree) {
  for (uint32_t ranks : {1u, 2u, 4u}) {
    for (DType weights : {DType::kF32, DType::kBF16, DType::kF16}) {
      auto plans = examplePlans({.ranks = ranks, .weights = weights});
      for (const auto& bytes : packAll(plans)) {
        Status status = load(bytes);
        EXPECT_TRUE(status.ok()) << status.error().message;
      }
    }
  }
}

}  // namespace
}  // namespace dcc::plan
