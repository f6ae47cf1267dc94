// The example plan with one thing changed, and what the verifier says of it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "example_plan.h"
#include "runtime/plan/plan.h"

namespace dcc::plan::testing {

using fb::PlanT;

inline std::string errorOf(const std::vector<uint8_t>& bytes) {
  auto plan = Plan::fromBytes(bytes, "rank_0.dplan");
  return plan.ok() ? "" : plan.error().message;
}

// The error after changing the example of rank 0, with hashes that fit.
inline std::string errorAfter(const std::function<void(PlanT&)>& change) {
  auto plans = examplePlans();
  change(plans[0]);
  return errorOf(pack(plans[0]));
}

struct Case {
  std::string expected;  // after "rank_0.dplan: "
  std::function<void(PlanT&)> change;
};

inline void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_EQ(errorAfter(c.change), "rank_0.dplan: " + c.expected);
}

inline fb::BufferT& buffer(PlanT& p, uint32_t i) { return *p.entries[kPrefill]->buffers[i]; }
inline fb::InstructionT& instruction(PlanT& p, uint32_t i) {
  return *p.entries[kPrefill]->instructions[i];
}
inline fb::KernelT& kernel(PlanT& p, uint32_t i) { return *instruction(p, i).body.AsKernel(); }
inline fb::GemmT& gemm(PlanT& p, uint32_t i) { return *instruction(p, i).body.AsGemm(); }
inline fb::OutputT& output(PlanT& p) { return *p.entries[kPrefill]->outputs[0]; }
// The all_gather at the end of the logits entry.
inline fb::CollectiveT& gather(PlanT& p) {
  return *p.entries[kLogits]->instructions.back()->body.AsCollective();
}
// Replaces an attribute of a kernel.
inline void setAttr(PlanT& p, uint32_t i, fb::AttrKey key, int64_t integer, double number) {
  for (fb::Attr& attr : kernel(p, i).attrs) {
    if (attr.key() == key) attr = {key, integer, number};
  }
}

// Instructions of the example's entry "prefill".
inline constexpr uint32_t kEmbedding = 0, kAllReduce = 1, kNorm = 2, kQkv = 3, kRopeQ = 4,
                          kKvWrite = 6, kAttention = 7, kOutput = 8, kAddNorm = 10, kGated = 12,
                          kLastToken = 16;

}  // namespace dcc::plan::testing
