#include "runtime/plan/size_proof.h"

#include <gtest/gtest.h>

#include "size_pool.h"

namespace dcc::plan {
namespace {

using fb::SizeOp;
using testing::SizePool;

constexpr int64_t kBounds[] = {40, 3};

struct Asked {
  SizeAnalysis sizes;
  SizeProof proof{kBounds};

  bool sum(std::vector<uint32_t> parts, uint32_t whole) {
    std::vector<SizeRef> refs;
    for (uint32_t part : parts) refs.push_back({&sizes, part});
    return proof.sumEquals(refs, {&sizes, whole});
  }
};

TEST(SizeProof, SumsByNormalForm) {
  SizePool p;
  uint32_t two = p.constant(2);
  uint32_t half = p.add(SizeOp::ceil_div, 0, two), padded = p.add(SizeOp::mul, half, two);
  Asked a{p.analyze().value()};
  EXPECT_TRUE(a.sum({half, half}, padded));
  EXPECT_FALSE(a.sum({half, half, half}, padded));
  EXPECT_FALSE(a.sum({half, half}, 0));
}

// Coordinate i's share of T tokens cut as evenly as they go: ceil_div(max(T - i, 0), n).
uint32_t share(SizePool& p, int64_t i, int64_t n) {
  uint32_t left = p.add(SizeOp::max, p.add(SizeOp::add, 0, p.constant(-i)), p.constant(0));
  return p.add(SizeOp::ceil_div, left, p.constant(n));
}

TEST(SizeProof, SharesOfAnUnevenCut) {
  SizePool p;
  std::vector<uint32_t> even, blocks;
  for (int64_t i = 0; i < 3; ++i) even.push_back(share(p, i, 3));
  // And by blocks of ceil_div(T, 3), of which the last may be empty.
  uint32_t block = p.add(SizeOp::ceil_div, 0, p.constant(3));
  for (int64_t i = 0; i < 3; ++i) {
    uint32_t before = p.add(SizeOp::mul, block, p.constant(-i));
    uint32_t left = p.add(SizeOp::max, p.add(SizeOp::add, 0, before), p.constant(0));
    blocks.push_back(p.add(SizeOp::min, left, block));
  }
  Asked a{p.analyze().value()};
  EXPECT_TRUE(a.sum(even, 0));
  EXPECT_TRUE(a.sum(blocks, 0));
  EXPECT_FALSE(a.sum(even, 1));  // B
  EXPECT_FALSE(a.sum({even[0], even[1]}, 0));
  EXPECT_FALSE(a.sum({even[0], even[0], even[2]}, 0));
  // The two cuts differ, for T = 4 already: 2 1 1 and 2 2 0.
  EXPECT_TRUE(a.proof.equal({&a.sizes, even[0]}, {&a.sizes, blocks[0]}));
  EXPECT_FALSE(a.proof.equal({&a.sizes, even[1]}, {&a.sizes, blocks[1]}));
}

TEST(SizeProof, HoldsOnlyUpToTheBounds) {
  SizePool p;
  uint32_t at_most_40 = p.add(SizeOp::min, 0, p.constant(40));
  uint32_t at_most_39 = p.add(SizeOp::min, 0, p.constant(39));
  Asked a{p.analyze().value()};
  EXPECT_TRUE(a.sum({at_most_40}, 0));
  EXPECT_FALSE(a.sum({at_most_39}, 0));
}

TEST(SizeProof, BothVariablesAreTried) {
  SizePool p;
  uint32_t less = p.add(SizeOp::min, 0, 1), more = p.add(SizeOp::max, 0, 1);
  uint32_t product = p.add(SizeOp::mul, less, more), tokens = p.add(SizeOp::mul, 0, 1);
  Asked a{p.analyze().value()};
  EXPECT_TRUE(a.sum({product}, tokens));
  uint32_t both[] = {less, more};
  EXPECT_FALSE(a.sum({both[0], both[0]}, both[1]));
}

TEST(SizeProof, PlansOfDifferentPoolsAreCompared) {
  auto atoms = std::make_shared<SizeAtoms>();
  SizePool p, q;
  q.constant(99);  // other numbers for the same expressions
  uint32_t in_p = share(p, 1, 4), in_q = share(q, 1, 4), other = share(q, 2, 4);
  SizeAnalysis a = p.analyze(atoms).value(), b = q.analyze(atoms).value();
  SizeProof proof(kBounds);
  EXPECT_TRUE(proof.equal({&a, in_p}, {&b, in_q}));
  EXPECT_FALSE(proof.equal({&a, in_p}, {&b, other}));
  EXPECT_FALSE(proof.equal({&a, 0}, {&b, 1}));
}

// Answered with no, and at once.
TEST(SizeProof, EndlessQuestions) {
  SizePool p;
  uint32_t capped = p.add(SizeOp::min, 0, p.constant(INT32_MAX));
  SizeAnalysis a = p.analyze().value();
  int64_t bounds[] = {INT32_MAX, INT32_MAX};
  SizeProof proof(bounds);
  EXPECT_FALSE(proof.equal({&a, capped}, {&a, 0}));
  EXPECT_TRUE(proof.equal({&a, capped}, {&a, capped}));
}

}  // namespace
}  // namespace dcc::plan
