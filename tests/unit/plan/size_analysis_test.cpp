#include "runtime/plan/size_analysis.h"

#include <gtest/gtest.h>

#include "size_pool.h"

namespace dcc::plan {
namespace {

using fb::SizeOp;

using testing::SizePool;

TEST(SizeAnalysis, EqualExpressionsAreRecognised) {
  SizePool p;
  uint32_t two = p.constant(2), four = p.constant(4), minus = p.constant(-1);
  uint32_t t_plus_t = p.add(SizeOp::add, 0, 0), two_t = p.add(SizeOp::mul, two, 0);
  uint32_t t_two = p.add(SizeOp::mul, 0, two), b_plus_t = p.add(SizeOp::add, 1, 0);
  uint32_t t_plus_b = p.add(SizeOp::add, 0, 1);
  uint32_t half = p.add(SizeOp::ceil_div, 0, two), half_again = p.add(SizeOp::ceil_div, 0, two);
  uint32_t reverse = p.add(SizeOp::ceil_div, two, 0);
  uint32_t min1 = p.add(SizeOp::min, 0, 1), min2 = p.add(SizeOp::min, 1, 0);
  uint32_t max1 = p.add(SizeOp::max, 0, 1);
  uint32_t minus_t = p.add(SizeOp::mul, 0, minus), zero = p.add(SizeOp::add, 0, minus_t);
  uint32_t folded = p.add(SizeOp::ceil_div, four, two);
  auto a = p.analyze();
  ASSERT_TRUE(a.ok()) << a.error().message;
  EXPECT_TRUE(a->equal(t_plus_t, two_t));
  EXPECT_TRUE(a->equal(two_t, t_two));
  EXPECT_TRUE(a->equal(b_plus_t, t_plus_b));
  EXPECT_TRUE(a->equal(half, half_again));
  EXPECT_TRUE(a->equal(min1, min2));
  EXPECT_FALSE(a->equal(half, reverse));
  EXPECT_FALSE(a->equal(min1, max1));
  EXPECT_FALSE(a->equal(0, 1));
  EXPECT_EQ(a->constant(zero), 0);
  EXPECT_EQ(a->constant(folded), 2);
  EXPECT_EQ(a->constant(0), std::nullopt);
  EXPECT_TRUE(a->isVariable(0, kT));
  EXPECT_FALSE(a->isVariable(0, kB));
  EXPECT_FALSE(a->isVariable(two_t, kT));
}

TEST(SizeAnalysis, PartsOfRows) {
  SizePool p;
  uint32_t zero = p.constant(0), three = p.constant(3), seven = p.constant(7);
  auto part = [&](uint32_t whole, int64_t i) {
    uint32_t rest = p.add(SizeOp::add, whole, p.constant(-i));
    return p.add(SizeOp::ceil_div, p.add(SizeOp::max, rest, zero), three);
  };
  uint32_t first = part(0, 0), last = part(0, 2), of_b = part(1, 2), two = p.constant(2);
  auto a = p.analyze();
  EXPECT_TRUE(a->isPart(first, 0, 0, 3));
  EXPECT_TRUE(a->isPart(last, 0, 2, 3));
  EXPECT_FALSE(a->isPart(last, 0, 1, 3));
  EXPECT_FALSE(a->isPart(last, 0, 2, 4));
  EXPECT_FALSE(a->isPart(of_b, 0, 2, 3));
  EXPECT_TRUE(a->isPart(two, seven, 1, 3));
  EXPECT_FALSE(a->isPart(two, seven, 0, 3));
}

TEST(SizeAnalysis, RangesAtBounds) {
  SizePool p;
  uint32_t four = p.constant(4), minus = p.constant(-3);
  uint32_t pages = p.add(SizeOp::ceil_div, 0, four), padded = p.add(SizeOp::mul, pages, four);
  uint32_t less = p.add(SizeOp::add, 0, minus), product = p.add(SizeOp::mul, less, less);
  uint32_t smaller = p.add(SizeOp::min, 0, four), larger = p.add(SizeOp::max, 0, four);
  auto a = p.analyze();
  auto ranges = a->ranges(std::vector<int64_t>{9, 2}, "x");
  ASSERT_TRUE(ranges.ok()) << ranges.error().message;
  auto expect = [&](uint32_t node, int64_t least, int64_t most) {
    EXPECT_EQ((*ranges)[node].least, least) << a->text(node);
    EXPECT_EQ((*ranges)[node].most, most) << a->text(node);
  };
  expect(0, 1, 9);
  expect(1, 1, 2);
  expect(pages, 1, 3);
  expect(padded, 4, 12);
  expect(less, -2, 6);
  expect(product, -12, 36);
  expect(smaller, 1, 4);
  expect(larger, 4, 9);
}

TEST(SizeAnalysis, OverflowAndDivisionAreRefused) {
  {
    SizePool p;
    p.add(SizeOp::mul, p.constant(INT64_MAX), 0);
    auto a = p.analyze();
    ASSERT_TRUE(a.ok());
    EXPECT_TRUE(a->ranges(std::vector<int64_t>{1, 1}, "x").ok());
    auto ranges = a->ranges(std::vector<int64_t>{2, 1}, "x.dplan: entry e");
    ASSERT_FALSE(ranges.ok());
    EXPECT_EQ(ranges.error().message.rfind("x.dplan: entry e: sizes[3] = ", 0), 0u)
        << ranges.error().message;
  }
  {
    SizePool p;
    p.add(SizeOp::mul, p.constant(INT64_MAX), p.constant(2));
    EXPECT_FALSE(p.analyze().ok());
  }
  for (int64_t divisor : {0, -2}) {
    SizePool p;
    p.add(SizeOp::ceil_div, 0, p.constant(divisor));
    auto a = p.analyze();
    EXPECT_FALSE(a.ok() && a->ranges(std::vector<int64_t>{4, 4}, "x").ok()) << divisor;
  }
  {
    SizePool p;
    uint32_t less = p.add(SizeOp::add, 0, p.constant(-2));
    p.add(SizeOp::ceil_div, less, p.constant(2));
    EXPECT_FALSE(p.analyze()->ranges(std::vector<int64_t>{4, 4}, "x").ok());
  }
}

TEST(SizeAnalysis, FalseIndicesAreRefused) {
  struct {
    fb::SizeNode node;
    std::string_view expected;
  } cases[] = {
      {{SizeOp::variable, 2, 0, 0}, "names a variable that the plan doesn't have"},
      {{SizeOp::add, 2, 0, 0}, "has an operand that does not come before it"},
      {{SizeOp::add, 0, 7, 0}, "has an operand that does not come before it"},
      {{SizeOp::add, 0, 0, 1}, "has a value in a field that its operation doesn't use"},
      {{SizeOp::constant, 1, 0, 1}, "has a value in a field that its operation doesn't use"},
      {{SizeOp::variable, 1, 1, 0}, "has a value in a field that its operation doesn't use"},
  };
  for (const auto& c : cases) {
    SizePool p;
    p.plan().sizes.push_back(c.node);
    auto a = p.analyze();
    ASSERT_FALSE(a.ok()) << c.expected;
    EXPECT_EQ(a.error().message, "x.dplan: sizes[2]: " + std::string(c.expected));
  }
}

// A chain of doublings names 2^60 terms in 60 nodes, and as many characters.
TEST(SizeAnalysis, DeepPoolsStaySmall) {
  SizePool p;
  uint32_t node = p.add(SizeOp::max, 0, 1);
  for (int i = 0; i < 2000; ++i) node = p.add(SizeOp::min, node, p.add(SizeOp::max, node, 0));
  for (int i = 0; i < 40; ++i) node = p.add(SizeOp::add, node, p.add(SizeOp::min, node, 1));
  auto a = p.analyze();
  ASSERT_TRUE(a.ok());
  EXPECT_LT(a->text(node).size(), 2000u);
}

}  // namespace
}  // namespace dcc::plan
