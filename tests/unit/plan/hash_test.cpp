#include <gtest/gtest.h>

#include <set>

#include "example_plan.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"
#include "scalars.h"

namespace dcc::plan {
namespace {

using testing::examplePlans;

// Texts that mean something to the program; all others are for people.
const std::set<std::string> kHashedTexts = {"mesh.name", "variables", "entries.name",
                                            "entries.outputs.name", "features"};

TEST(PlanHash, NamesDoNotChangeItButInterfacesDo) {
  auto plans = examplePlans();
  plans[0].features = {"made_up"};
  const std::vector<uint8_t> bytes = testing::serializeAll(plans[0]);
  const Hash program = programHash(*fb::GetPlan(bytes.data()));
  std::set<std::string> seen;
  for (const testing::Text& text : testing::fieldsOf(bytes).texts) {
    if (text.bytes == 0) continue;
    seen.insert(text.field);
    std::vector<uint8_t> changed = bytes;
    changed[text.at] ^= 1;
    bool same = programHash(*fb::GetPlan(changed.data())) == program;
    EXPECT_EQ(same, !kHashedTexts.contains(text.field)) << text.path;
  }
  for (const std::string& field : kHashedTexts) EXPECT_TRUE(seen.contains(field)) << field;
}

TEST(PlanHash, LengthsCount) {
  auto base = examplePlans();
  pack(base[0]);
  auto check = [&](auto change) {
    auto plans = examplePlans();
    change(plans[0]);
    std::vector<uint8_t> bytes = testing::serializeAll(plans[0]);
    EXPECT_NE(programHash(*fb::GetPlan(bytes.data())), hashOf(*base[0].program_hash));
  };
  check([](fb::PlanT& p) { p.sizes.push_back({fb::SizeOp::constant, 0, 0, 0}); });
  check([](fb::PlanT& p) { p.sizes.clear(); });
  check([](fb::PlanT& p) { p.weights.pop_back(); });
  check([](fb::PlanT& p) { p.entries[0]->instructions.pop_back(); });
  check([](fb::PlanT& p) { p.entries.push_back(std::make_unique<fb::EntryT>()); });
  // A value that moves from one table to the next.
  check([](fb::PlanT& p) {
    auto& from = p.weights[1]->pieces;
    p.weights[0]->pieces.push_back(std::move(from.front()));
    from.erase(from.begin());
  });
}

TEST(PlanHash, ARandomFileIsItsSeedAndDistribution) {
  auto hashWith = [](uint64_t seed, float mean, float spread) {
    auto plans = examplePlans({.seed = seed});
    *plans[0].files[0]->random = fb::Random(seed, mean, spread);
    return programHash(*fb::GetPlan(testing::serializeAll(plans[0]).data())).hex();
  };
  const std::set<std::string> all = {hashWith(0, 0, 1), hashWith(1, 0, 1), hashWith(0, 0.25f, 1),
                                     hashWith(0, 0, 1.25f)};
  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(all.count(hashWith(0, 0, 1)), 1u);
}

TEST(PlanHash, GivesUpBeyondItsBudget) {
  auto plans = examplePlans();
  std::vector<uint8_t> bytes = pack(plans[0]);
  const fb::Plan& plan = *fb::GetPlan(bytes.data());
  EXPECT_EQ(programHash(plan, 1 << 20), programHash(plan));
  EXPECT_EQ(programHash(plan, 100), std::nullopt);
}

// Ranks run different programs, but the same collectives.
TEST(PlanHash, RanksOfAGroupAgreeOnCollectives) {
  auto plans = examplePlans({.ranks = 4});
  packAll(plans);
  for (uint32_t rank = 1; rank < 4; ++rank) {
    EXPECT_NE(hashOf(*plans[rank].program_hash), hashOf(*plans[0].program_hash));
    EXPECT_EQ(hashOf(plans[rank].collective_hashes[0]), hashOf(plans[0].collective_hashes[0]));
    EXPECT_EQ(hashOf(*plans[rank].compilation_id), hashOf(*plans[0].compilation_id));
  }
}

TEST(PlanHash, CollectiveHashSeesKindShapeOrderAndCounts) {
  auto base = examplePlans();
  const Hash original = [&] {
    pack(base[0]);
    return hashOf(base[0].collective_hashes[0]);
  }();
  auto hashAfter = [&](auto change) {
    auto plans = examplePlans();
    change(*plans[0].entries[testing::kLogits], plans[0]);
    pack(plans[0]);
    return hashOf(plans[0].collective_hashes[0]);
  };
  using E = fb::EntryT;
  using P = fb::PlanT;
  auto last = [](E& e) { return e.instructions.back()->body.AsCollective(); };
  EXPECT_NE(hashAfter([&](E& e, P&) { last(e)->kind = fb::CollectiveKind::all_to_all; }), original);
  EXPECT_NE(hashAfter([&](E& e, P&) { last(e)->dimension = 0; }), original);
  EXPECT_NE(hashAfter([&](E& e, P&) { last(e)->counts.pop_back(); }), original);
  EXPECT_NE(hashAfter([&](E& e, P&) { e.instructions.pop_back(); }), original);
  EXPECT_NE(hashAfter([&](E& e, P&) { e.buffers[last(e)->output]->cols++; }), original);
  EXPECT_NE(hashAfter([](E& e, P&) { e.bounds[0]--; }), original);
  // What is no collective, and where size expressions lie in the pool, does not matter.
  EXPECT_EQ(hashAfter([](E& e, P&) { e.instructions[2]->body.AsKernel()->attrs[0] = {}; }),
            original);
  EXPECT_EQ(hashAfter([&](E& e, P& p) {
              p.sizes.push_back(p.sizes[2]);
              last(e)->counts[0] = 3;
            }),
            original);
}

TEST(PlanHash, PackingIsDeterministic) {
  auto a = examplePlans(), b = examplePlans();
  EXPECT_EQ(packAll(a), packAll(b));
  EXPECT_EQ(packAll(a), packAll(b));  // and idempotent
}

}  // namespace
}  // namespace dcc::plan
