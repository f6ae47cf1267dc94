#include "runtime/launch/binding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "runtime/launch/cores.h"

namespace dcc::launch {
namespace {

using Parts = std::vector<std::vector<uint32_t>>;

TEST(Binding, CoresStayWholeAndNodesTogether) {
  // Two memories of two cores of two threads: CPUs 0 1 | 2 3 || 4 5 | 6 7.
  const char* machine = "numa:2 core:2 pu:2";
  EXPECT_EQ(divideCpus(1, machine), (Parts{{0, 1, 2, 3, 4, 5, 6, 7}}));
  EXPECT_EQ(divideCpus(2, machine), (Parts{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  EXPECT_EQ(divideCpus(4, machine), (Parts{{0, 1}, {2, 3}, {4, 5}, {6, 7}}));
  EXPECT_EQ(divideCpus(8, machine), (Parts{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}}));
  EXPECT_EQ(divideCpus(9, machine), Parts());
}

TEST(Binding, RanksThatDoNotDivideTheCores) {
  for (const uint32_t ranks : {3, 5, 6, 7}) {
    const Parts parts = divideCpus(ranks, "numa:1 core:8 pu:1");
    ASSERT_EQ(parts.size(), ranks);
    std::set<uint32_t> all;
    for (const auto& part : parts) {
      EXPECT_GE(part.size(), 8 / ranks);
      EXPECT_LE(part.size(), 8 / ranks + 1);
      all.insert(part.begin(), part.end());
    }
    EXPECT_EQ(all.size(), 8u) << "each CPU in one part";
  }
}

TEST(Binding, OnlyCpusThatAreOurs) {
  const std::vector<uint32_t> cpus = affinityCpus();
  for (uint32_t ranks = 1; ranks <= std::min<size_t>(cpus.size(), 4); ++ranks) {
    const Parts parts = divideCpus(ranks);
    ASSERT_EQ(parts.size(), ranks);
    std::vector<uint32_t> all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, cpus);
  }
  EXPECT_EQ(divideCpus(static_cast<uint32_t>(cpus.size()) + 1), Parts());
}

TEST(Binding, DamagedDescriptionsGiveNothing) { EXPECT_EQ(divideCpus(2, "no machine"), Parts()); }

}  // namespace
}  // namespace dcc::launch
