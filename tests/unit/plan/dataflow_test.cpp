#include "runtime/plan/dataflow.h"

#include <gtest/gtest.h>

#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"
#include "verify_support.h"

namespace dcc::plan {
namespace {

std::vector<std::string> partialsOf(fb::PlanT& plan) {
  const std::vector<uint8_t> bytes = pack(plan);
  const fb::Plan& packed = *fb::GetPlan(bytes.data());
  const fb::Entry& entry = *packed.entries()->Get(testing::kPrefill);
  const std::vector<bool> partial = partialResults(entry);
  std::vector<std::string> found;
  for (uint32_t i = 0; i < partial.size(); ++i) {
    const fb::Instruction& instruction = *entry.instructions()->Get(i);
    if (!partial[i]) continue;
    found.push_back(std::string(opName(instruction)) + " " +
                    std::string(text(instruction.module_())));
  }
  return found;
}

TEST(Dataflow, PartsOfSums) {
  auto plans = testing::examplePlans();
  EXPECT_EQ(partialsOf(plans[0]), (std::vector<std::string>{"embedding model.embed_tokens",
                                                            "gemm model.layers.0.self_attn.o_proj",
                                                            "gemm model.layers.0.mlp.down_proj"}));
}

TEST(Dataflow, PartsPassThroughWhatIsLinear) {
  auto plans = testing::examplePlans();
  // The first all_reduce becomes an addition of a part to itself, in place, and the sum is made
  // where the product that reads it was.
  fb::EntryT& entry = *plans[0].entries[testing::kPrefill];
  const uint32_t buffer = entry.instructions[1]->body.AsCollective()->input;
  std::swap(entry.instructions[1]->body, entry.instructions[2]->body);
  fb::KernelT add;
  add.kind = fb::KernelKind::add;
  for (int i = 0; i < 3; ++i) add.operands.push_back({fb::OperandKind::buffer, buffer});
  entry.instructions[1]->body.Set(std::move(add));
  const std::vector<std::string> found = partialsOf(plans[0]);
  ASSERT_GE(found.size(), 2u);
  EXPECT_EQ(found[0], "embedding model.embed_tokens");
  EXPECT_EQ(found[1], "add model.embed_tokens");
}

}  // namespace
}  // namespace dcc::plan
