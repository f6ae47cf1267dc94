// Ranks that do not fit together, though each plan is valid and all hashes are what they should be.
#include "runtime/plan/verify_ranks.h"

#include <gtest/gtest.h>

#include <functional>

#include "example_plan.h"
#include "runtime/plan/directory.h"
#include "verify_support.h"

namespace dcc::plan {
namespace {

using fb::CollectiveKind;
using testing::examplePlans;

std::string messageOf(const Status& status) { return status.ok() ? "" : status.error().message; }

// The error after changing the example, without "<dir>/".
std::string errorAfter(uint32_t ranks, const std::function<void(std::vector<fb::PlanT>&)>& change) {
  auto plans = examplePlans({.ranks = ranks});
  change(plans);
  std::vector<Plan> loaded;
  for (auto& bytes : packAll(plans)) {
    Result<Plan> plan = Plan::fromBytes(std::move(bytes), "alone");
    if (!plan.ok()) return plan.error().message;
    loaded.push_back(std::move(plan).value());
  }
  std::string message = messageOf(verifyRanks(loaded, "dir"));
  if (message.empty()) return "";
  EXPECT_EQ(message.rfind("dir/", 0), 0u) << message;
  return message.substr(4);
}
std::string changedRank1(const std::function<void(fb::PlanT&)>& change) {
  return errorAfter(2, [&](auto& plans) { change(plans[1]); });
}

const std::string kAgree = "; all ranks must agree, so compile the model again";
const std::string kSame = "; all ranks of a group must issue the same ones";

TEST(VerifyRanks, ValidPlansPass) {
  for (uint32_t ranks : {1u, 2u, 4u}) EXPECT_EQ(errorAfter(ranks, [](auto&) {}), "");
}

TEST(VerifyRanks, WhatRank0DecidesForAll) {
  auto differs = [](const std::function<void(fb::PlanT&)>& change) {
    std::string message = changedRank1(change), start = "rank_1.dplan: ";
    EXPECT_EQ(message.rfind(start, 0), 0u) << message;
    EXPECT_TRUE(message.ends_with(kAgree)) << message;
    return message.substr(start.size(), message.size() - start.size() - kAgree.size());
  };
  EXPECT_EQ(differs([](fb::PlanT& p) { p.page_groups[0]->pages++; }),
            "the number of pages of page group 0 is 9, rank 0 has 8");
  EXPECT_EQ(differs([](fb::PlanT& p) { p.max_seq_len++; }), "max_seq_len is 33, rank 0 has 32");
  EXPECT_EQ(differs([](fb::PlanT& p) { p.mesh[0]->name = "xp"; }),
            "mesh axis 0 is xp, rank 0 has tp");
  EXPECT_EQ(differs([](fb::PlanT& p) { p.entries[0]->name = "prefix"; }),
            "entry 0 is prefix, rank 0 has prefill");
  EXPECT_EQ(differs([](fb::PlanT& p) { p.entries.pop_back(); }),
            "the number of entries is 2, rank 0 has 3");
  EXPECT_EQ(differs([](fb::PlanT& p) { p.entries[1]->bounds[0] = 1; }),
            "entry decode: the bound of T is 1, rank 0 has 2");
  EXPECT_EQ(differs([](fb::PlanT& p) {
              p.entries[0]->outputs[0]->begins = {0, 8};
              p.entries[0]->outputs[0]->ends = {9, 16};
            }),
            "entry prefill: the end of the columns of coordinate 0 of output logits is 9, rank 0 "
            "has 8");
  EXPECT_EQ(differs([](fb::PlanT& p) { p.entries[0]->outputs[0]->name = "scores"; }),
            "entry prefill: output 0 is scores, rank 0 has logits");
}

TEST(VerifyRanks, AMissingCollective) {
  // The second: what comes after it stands in its place.
  EXPECT_EQ(changedRank1([](fb::PlanT& p) {
              auto& instructions = p.entries[0]->instructions;
              instructions.erase(instructions.begin() + 9);
            }),
            "rank_1.dplan: entry prefill: collective 1 over tp (all_reduce of "
            "model.layers.0.mlp.down_proj, f32 [T, 8]) stands where rank 0 has all_reduce of "
            "model.layers.0.self_attn.o_proj, f32 [T, 8]" +
                kSame);
  EXPECT_EQ(changedRank1([](fb::PlanT& p) {
              auto& instructions = p.entries[0]->instructions;
              instructions.erase(instructions.begin() + 14);
            }),
            "rank_1.dplan: entry prefill: has no collective 2 over tp, where rank 0 has all_reduce "
            "of model.layers.0.mlp.down_proj, f32 [T, 8]" +
                kSame);
}

TEST(VerifyRanks, OneTooMany) {
  EXPECT_EQ(changedRank1([](fb::PlanT& p) {
              auto& instructions = p.entries[0]->instructions;
              auto copy = std::make_unique<fb::InstructionT>(*instructions[14]);
              instructions.insert(instructions.begin() + 15, std::move(copy));
            }),
            "rank_1.dplan: entry prefill: collective 3 over tp (all_reduce of "
            "model.layers.0.mlp.down_proj, f32 [T, 8]) stands where rank 0 has none" +
                kSame);
}

// Each rank's own count is right, those of two others are not.
TEST(VerifyRanks, CountsOfOthers) {
  EXPECT_EQ(errorAfter(4,
                       [](auto& plans) {
                         fb::PlanT& p = plans[1];
                         uint32_t less = static_cast<uint32_t>(p.sizes.size());
                         p.sizes.push_back({fb::SizeOp::constant, 0, 0, 3});
                         p.sizes.push_back({fb::SizeOp::constant, 0, 0, 5});
                         fb::CollectiveT& gather = testing::gather(p);
                         gather.counts[2] = less;
                         gather.counts[3] = less + 1;
                       }),
            "rank_1.dplan: entry logits: collective 3 over tp (all_gather of lm_head, f32 [T, 16], "
            "columns 4 + 4 + 3 + 5) stands where rank 0 has all_gather of lm_head, f32 [T, 16], "
            "columns 4 + 4 + 4 + 4" +
                kSame);
}

// The same expressions in another order of the pool are the same.
TEST(VerifyRanks, ExpressionsAreComparedByContent) {
  EXPECT_EQ(changedRank1([](fb::PlanT& p) {
              fb::CollectiveT& gather = testing::gather(p);
              const fb::SizeNode count = p.sizes[gather.counts[0]];
              gather.counts[0] = static_cast<uint32_t>(p.sizes.size());
              p.sizes.push_back(count);
            }),
            "");
}

// A second axis, of one rank: alone in its group, a rank waits for nobody.
TEST(VerifyRanks, OverAnotherAxis) {
  EXPECT_EQ(errorAfter(2,
                       [](auto& plans) {
                         for (fb::PlanT& p : plans) {
                           p.mesh.push_back(std::make_unique<fb::AxisT>());
                           p.mesh.back()->name = "dp";
                           p.mesh.back()->size = 1;
                         }
                         testing::instruction(plans[1], 9).body.AsCollective()->axis = 1;
                       }),
            "rank_1.dplan: entry prefill: collective 1 over tp (all_reduce of "
            "model.layers.0.mlp.down_proj, f32 [T, 8]) stands where rank 0 has all_reduce of "
            "model.layers.0.self_attn.o_proj, f32 [T, 8]" +
                kSame);
}

// ---- several axes, sends and recvs: nothing executes them yet, so each plan is not verified
// -------

// Ranks that only communicate: buffers of 4, 8 and 8 columns, one entry.
class Exchange {
 public:
  Exchange(std::vector<std::pair<std::string, uint32_t>> mesh) {
    uint32_t ranks = 1;
    for (const auto& [name, size] : mesh) ranks *= size;
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      auto example = examplePlans({.ranks = 1});
      fb::PlanT plan = std::move(example[0]);
      plan.rank = rank;
      plan.mesh.clear();
      for (const auto& [name, size] : mesh) {
        plan.mesh.push_back(std::make_unique<fb::AxisT>());
        plan.mesh.back()->name = name;
        plan.mesh.back()->size = size;
      }
      plan.entries.resize(1);
      plan.entries[0]->outputs.clear();
      plan.entries[0]->instructions.clear();
      plan.entries[0]->buffers.clear();
      for (uint64_t cols : {4, 8, 8}) {
        plan.entries[0]->buffers.push_back(std::make_unique<fb::BufferT>());
        plan.entries[0]->buffers.back()->cols = cols;
      }
      plans_.push_back(std::move(plan));
    }
  }

  void send(uint32_t rank, uint32_t peer, uint32_t buffer = 0, uint32_t axis = 0) {
    add(rank, CollectiveKind::send, axis).peer = peer;
    last(rank).input = buffer;
  }
  void recv(uint32_t rank, uint32_t peer, uint32_t buffer = 0, uint32_t axis = 0) {
    add(rank, CollectiveKind::recv, axis).peer = peer;
    last(rank).output = buffer;
  }
  void sum(uint32_t rank, uint32_t axis) { add(rank, CollectiveKind::all_reduce, axis); }

  std::string error() {
    std::vector<std::vector<uint8_t>> bytes = packAll(plans_);
    std::vector<const fb::Plan*> roots;
    for (const auto& b : bytes) roots.push_back(fb::GetPlan(b.data()));
    auto ranks = rankPrograms(roots, "dir").value();
    Status status = verifyInterface(ranks);
    if (status.ok()) status = verifyGroups(ranks);
    if (status.ok()) status = verifyOrder(ranks);
    return messageOf(status);
  }

 private:
  fb::CollectiveT& add(uint32_t rank, CollectiveKind kind, uint32_t axis) {
    auto& instructions = plans_[rank].entries[0]->instructions;
    instructions.push_back(std::make_unique<fb::InstructionT>());
    instructions.back()->module_ = "m";
    instructions.back()->body.Set(fb::CollectiveT());
    last(rank).kind = kind;
    last(rank).axis = axis;
    return last(rank);
  }
  fb::CollectiveT& last(uint32_t rank) {
    return *plans_[rank].entries[0]->instructions.back()->body.AsCollective();
  }

  std::vector<fb::PlanT> plans_;
};

TEST(VerifyTransfers, APipelinePasses) {
  Exchange e({{"pp", 3}});
  e.send(0, 1, 1);
  e.recv(1, 0, 2);
  e.send(1, 2);
  e.recv(2, 1);
  EXPECT_EQ(e.error(), "");
}

TEST(VerifyTransfers, BothEndsMustBeThere) {
  Exchange no_recv({{"pp", 2}});
  no_recv.send(0, 1);
  EXPECT_EQ(no_recv.error(),
            "dir/rank_0.dplan: entry prefill: transfer 0 over pp (send of m, f32 [T, 4]) has no "
            "recv on rank 1");
  Exchange no_send({{"pp", 2}});
  no_send.send(0, 1);
  no_send.recv(1, 0);
  no_send.recv(1, 0);
  EXPECT_EQ(no_send.error(),
            "dir/rank_1.dplan: entry prefill: transfer 1 over pp (recv of m, f32 [T, 4]) has no "
            "send on rank 0");
}

TEST(VerifyTransfers, SizesMustBeEqual) {
  Exchange e({{"pp", 2}});
  e.send(0, 1, 0);
  e.send(0, 1, 1);
  e.recv(1, 0, 0);
  e.recv(1, 0, 0);
  EXPECT_EQ(e.error(),
            "dir/rank_1.dplan: entry prefill: transfer 1 over pp (recv of m, f32 [T, 4]) has send "
            "of m, f32 [T, 8] on rank 0; both must have one type and size");
}

TEST(VerifyTransfers, ThePeerMustBeAnother) {
  for (uint32_t peer : {0u, 2u, UINT32_MAX}) {
    Exchange e({{"pp", 2}});
    e.send(0, peer);
    EXPECT_EQ(e.error(),
              "dir/rank_0.dplan: entry prefill: send of m, f32 [T, 4] is with coordinate " +
                  std::to_string(peer) + " of pp; it must be another one of 2");
  }
}

TEST(VerifyTransfers, WaitingInACircle) {
  Exchange exchange({{"pp", 2}});
  exchange.send(0, 1);
  exchange.recv(0, 1);
  exchange.send(1, 0);
  exchange.recv(1, 0);
  EXPECT_EQ(exchange.error(),
            "dir/rank_0.dplan: entry prefill: ranks wait for each other: rank 0 at instruction 0 "
            "(send of m, f32 [T, 4]) for rank 1, rank 1 at instruction 0 (send of m, f32 [T, 4]) "
            "for rank 0");
  Exchange ring({{"pp", 3}});
  for (uint32_t r = 0; r < 3; ++r) {
    ring.recv(r, (r + 2) % 3);
    ring.send(r, (r + 1) % 3);
  }
  EXPECT_NE(ring.error().find("rank 2 at instruction 0"), std::string::npos) << ring.error();
  // One that sends first breaks the ring open.
  Exchange open({{"pp", 3}});
  for (uint32_t r = 0; r < 3; ++r) {
    if (r == 0) open.send(r, 1);
    open.recv(r, (r + 2) % 3);
    if (r != 0) open.send(r, (r + 1) % 3);
  }
  EXPECT_EQ(open.error(), "");
}

// Every group alone is in order; together nobody gets on.
TEST(VerifyOrder, AxesInterleaved) {
  for (bool crossed : {false, true}) {
    Exchange e({{"pp", 2}, {"tp", 2}});
    for (uint32_t r = 0; r < 4; ++r) {
      // Over tp: {0, 1} and {2, 3}; over pp: {0, 2} and {1, 3}.
      bool tp_first = crossed ? r == 0 || r == 3 : true;
      e.sum(r, tp_first ? 1 : 0);
      e.sum(r, tp_first ? 0 : 1);
    }
    if (!crossed) {
      EXPECT_EQ(e.error(), "");
    } else {
      EXPECT_EQ(
          e.error().rfind("dir/rank_0.dplan: entry prefill: ranks wait for each other: rank 0 "
                          "at instruction 0 (all_reduce of m, f32 [T, 4]) for rank 1, rank 1 "
                          "at instruction 0",
                          0),
          0u)
          << e.error();
    }
  }
}

}  // namespace
}  // namespace dcc::plan
