// Ranks with plans of different compilations find out what differs before anything runs.
#include "tools/drun/agreement.h"

#include <gtest/gtest.h>

#include <functional>

#include "runtime/plan/access.h"
#include "tests/unit/collectives/ranks.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc::drun {
namespace {

using plan::fb::PlanT;

std::vector<plan::Plan> compiled(uint32_t ranks, const std::function<void(PlanT&)>& change) {
  auto plans = plan::testing::examplePlans({.ranks = ranks});
  for (PlanT& p : plans) change(p);
  std::vector<plan::Plan> loaded;
  for (auto& bytes : plan::packAll(plans)) {
    loaded.push_back(plan::Plan::fromBytes(std::move(bytes), "x").value());
  }
  return loaded;
}

// The error that rank `whose` says and the others hear of, when rank i runs plans[i]; over TCP too.
std::string errorOf(const std::vector<plan::Plan>& plans, uint32_t whose = 0) {
  std::string message;
  for (auto transport : {test::Transport::kSharedMemory, test::Transport::kTcp}) {
    test::Ranks group(transport, static_cast<uint32_t>(plans.size()));
    std::vector<Status> found =
        group.run([&](Communicator& world) { return checkAgreement(plans[world.rank()], world); });
    const Status& said = found[whose];
    message = said.ok() ? "" : said.error().message;
    for (const Status& status : found) {
      EXPECT_EQ(status.ok(), said.ok());
      if (status.ok()) continue;
      EXPECT_NE(status.error().message.find(message), std::string::npos) << status.error().message;
    }
    EXPECT_TRUE(said.ok() || said.error().fault == Fault::kUser);
  }
  return message;
}

std::string mixed(const std::function<void(PlanT&)>& change) {
  std::vector<plan::Plan> plans = compiled(4, [](PlanT&) {});
  const std::vector<plan::Plan> others = compiled(4, change);
  plans[2] = others[2];
  const std::string hashes = " (" + plan::hashOf(*others[0]->compilation_id()).hex() + ", " +
                             plan::hashOf(*plans[0]->compilation_id()).hex() + ")";
  const std::string start = "rank 2: runs a plan of another compilation than rank 0" + hashes;
  const std::string end = "; all plans must come from one `dcc compile`";
  const std::string message = errorOf(plans, 2);
  EXPECT_TRUE(message.starts_with(start)) << message;
  EXPECT_TRUE(message.ends_with(end)) << message;
  return message.substr(start.size(), message.size() - start.size() - end.size());
}

TEST(Agreement, OneCompilation) {
  EXPECT_EQ(errorOf(compiled(1, [](PlanT&) {})), "");
  EXPECT_EQ(errorOf(compiled(4, [](PlanT&) {})), "");
}

TEST(Agreement, NamesTheFirstInstructionThatDiffers) {
  EXPECT_EQ(mixed([](PlanT& p) {
              auto& instructions = p.entries[0]->instructions;
              instructions.erase(instructions.begin() + 9);
            }),
            ": entry prefill: instruction 9 (add_rms_norm of "
            "model.layers.0.post_attention_layernorm, eps 1e-05 into f32) stands where rank 0 has "
            "entry prefill: instruction 9 (all_reduce of model.layers.0.self_attn.o_proj, f32 [T, "
            "8])");
  EXPECT_EQ(mixed([](PlanT& p) { p.entries.pop_back(); }),
            ": mesh axis tp of 4 ranks stands where rank 0 has entry logits: instruction 0 "
            "(embedding of model.embed_tokens into f32)");
}

TEST(Agreement, NamesLimitsAndFiles) {
  EXPECT_EQ(mixed([](PlanT& p) { p.max_seq_len = 31; }),
            ": max_seq_len 31 stands where rank 0 has max_seq_len 32");
  const std::string file = mixed([](PlanT& p) { p.files[0]->bytes++; });
  EXPECT_TRUE(file.starts_with(": file model.safetensors of ")) << file;
}

// Nothing that all ranks of a compilation have in common.
TEST(Agreement, OnlyTheProgramsDiffer) {
  EXPECT_EQ(mixed([](PlanT& p) { p.entries[0]->arena_bytes += 64; }), "");
}

TEST(Agreement, EachRankNeedsItsOwnPlan) {
  std::vector<plan::Plan> plans = compiled(2, [](PlanT&) {});
  std::swap(plans[0], plans[1]);
  EXPECT_EQ(errorOf(plans), "rank 0: runs the plan of rank 1 of 2; its own of 2 is right");
}

}  // namespace
}  // namespace dcc::drun
