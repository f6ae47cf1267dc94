#include <gtest/gtest.h>

#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

TEST(Sizes, EveryOperationEvaluates) {
  using fb::SizeOp;
  fb::PlanT plan;
  plan.variables = {"T", "B"};
  plan.sizes = {
      {SizeOp::variable, 0, 0, 0},  // 0: T
      {SizeOp::variable, 1, 0, 0},  // 1: B
      {SizeOp::constant, 0, 0, 4},  // 2: 4
      {SizeOp::ceil_div, 0, 2, 0},  // 3: ceil(T / 4)
      {SizeOp::mul, 3, 2, 0},       // 4: T rounded up to 4
      {SizeOp::add, 4, 1, 0},       // 5: + B
      {SizeOp::min, 0, 1, 0},       // 6
      {SizeOp::max, 0, 1, 0},       // 7
      {SizeOp::constant, 0, 0, -3}  // 8
  };
  std::vector<uint8_t> bytes = pack(plan);
  std::vector<int64_t> out(plan.sizes.size());
  const int64_t variables[] = {9, 2};
  evaluateSizes(*fb::GetPlan(bytes.data()), variables, out);
  EXPECT_EQ(out, (std::vector<int64_t>{9, 2, 4, 3, 12, 14, 2, 9, -3}));
  const int64_t fewer[] = {8, 9};
  evaluateSizes(*fb::GetPlan(bytes.data()), fewer, out);
  EXPECT_EQ(out, (std::vector<int64_t>{8, 9, 4, 2, 8, 17, 8, 9, -3}));
}

}  // namespace
}  // namespace dcc::plan
