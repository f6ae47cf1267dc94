// Whether ranks fit in the memory of their hosts.
#include "tools/drun/memory_check.h"

#include <gtest/gtest.h>

#include <vector>

namespace dcc::drun {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

MemoryNeed rankOn(uint64_t host, uint64_t available) {
  footprint::Memory memory;
  memory.weights = 10 * kGiB;
  memory.cache = 4 * kGiB;
  memory.arena = kGiB;
  memory.communication = kGiB;
  return needOf(memory, TransportKind::kSharedMemory, Hash{host, 0}, available);
}

TEST(MemoryCheck, RanksOfAHostAreCountedTogetherAndWhatTheyShareOnce) {
  EXPECT_FALSE(findShortage(std::vector{rankOn(1, 31 * kGiB), rankOn(1, 31 * kGiB)}));
  const auto shortage = findShortage(std::vector{rankOn(1, 31 * kGiB), rankOn(1, 31 * kGiB - 1)});
  ASSERT_TRUE(shortage);
  EXPECT_EQ(shortage->rank, 0u);
  EXPECT_EQ(
      shortage->message,
      "memory: the 2 ranks of this host need 31.0 GiB (weights 20.0 GiB, KV cache 8.0 GiB, "
      "other 3.0 GiB), of which 31.0 GiB are available; fewer or shorter sequences need less "
      "KV cache, a plan with a smaller --max-tokens, with --dtype bf16, or with a larger --tp "
      "for ranks on more hosts less of the rest; DRUN_OVERCOMMIT=1 starts all the same");
}

TEST(MemoryCheck, HostsAreToldApart) {
  EXPECT_FALSE(findShortage(std::vector{rankOn(1, 16 * kGiB), rankOn(2, 16 * kGiB)}));
  const auto shortage = findShortage(std::vector{rankOn(1, 64 * kGiB), rankOn(2, 16 * kGiB),
                                                 rankOn(1, 64 * kGiB), rankOn(2, 16 * kGiB)});
  ASSERT_TRUE(shortage);
  EXPECT_EQ(shortage->rank, 1u) << "the first of the host that has too little";
}

TEST(MemoryCheck, WhatIsNotKnownIsEnough) {
  EXPECT_FALSE(findShortage(std::vector{rankOn(1, UINT64_MAX)}));
}

}  // namespace
}  // namespace dcc::drun
