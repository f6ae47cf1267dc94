// Every collective among 1 to 8 ranks (threads), over payloads that fit a slot, end inside one and
// need many; sums compared bit by bit with those in rank order and as a tree.
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <random>

#include "tests/unit/collectives/ranks.h"

namespace dcc {
namespace {

using test::Ranks;

constexpr size_t kSlot = 4096;  // small, so that chunks are many

// Values of very different magnitude: any other order of summation gives other bits.
std::vector<float> values(uint32_t rank, size_t count) {
  std::mt19937 random(rank * 7919 + 1);
  std::vector<float> v(count);
  for (float& x : v) {
    const float mantissa = std::uniform_real_distribution<float>(-1, 1)(random);
    x = std::ldexp(mantissa, static_cast<int>(random() % 24));
  }
  return v;
}

std::vector<float> rankOrderSum(uint32_t ranks, size_t count) {
  std::vector<float> sum = values(0, count);
  for (uint32_t r = 1; r < ranks; ++r) {
    const std::vector<float> v = values(r, count);
    for (size_t i = 0; i < count; ++i) sum[i] += v[i];
  }
  return sum;
}

// As SumOrder::kTree is defined.
std::vector<float> treeSum(uint32_t first, uint32_t ranks, size_t count) {
  if (ranks == 1) return values(first, count);
  const uint32_t left = std::bit_ceil(ranks) / 2;
  std::vector<float> sum = treeSum(first, left, count);
  const std::vector<float> right = treeSum(first + left, ranks - left, count);
  for (size_t i = 0; i < count; ++i) sum[i] += right[i];
  return sum;
}

std::vector<float> expectedSum(SumOrder order, uint32_t ranks, size_t count) {
  return order == SumOrder::kTree ? treeSum(0, ranks, count) : rankOrderSum(ranks, count);
}

constexpr SumOrder kOrders[] = {SumOrder::kRanks, SumOrder::kTree};

bool sameBits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

class Collectives : public testing::TestWithParam<std::tuple<test::Transport, uint32_t>> {
 protected:
  static uint32_t size() { return std::get<1>(GetParam()); }
  static Ranks make(size_t slot = kSlot) { return Ranks(std::get<0>(GetParam()), size(), slot); }
};

// Every other rank, and the rest; the parts make different calls, and together those of all.
TEST_P(Collectives, Parts) {
  std::vector<std::vector<uint32_t>> groups(std::min(2u, size()));
  for (uint32_t r = 0; r < size(); ++r) groups[r % groups.size()].push_back(r);
  std::reverse(groups.back().begin(), groups.back().end());  // in any order
  Ranks ranks = make();
  ranks.mustRun([&](Communicator& world) -> Status {
    DCC_ASSIGN(const std::unique_ptr<Communicator> part, world.split(groups));
    const std::vector<uint32_t>& own = groups[world.rank() % groups.size()];
    EXPECT_EQ(part->size(), own.size());
    EXPECT_EQ(own[part->rank()], world.rank());
    const size_t count = 3000;
    for (uint32_t i = 0; i < 3 + 5 * (world.rank() % 2); ++i) {
      std::vector<float> in = values(part->rank(), count), out(count);
      DCC_RETURN_IF_ERROR(part->allReduceSum(in.data(), out.data(), count, SumOrder::kRanks));
      EXPECT_TRUE(sameBits(out, rankOrderSum(part->size(), count)));
    }
    uint32_t who = world.rank();
    DCC_RETURN_IF_ERROR(part->broadcast(&who, sizeof(who), part->size() - 1));
    EXPECT_EQ(who, own.back());
    std::vector<uint32_t> all(world.size());
    DCC_RETURN_IF_ERROR(
        world.allGather(&who, all.data(), std::vector<size_t>(world.size(), sizeof(who))));
    for (uint32_t r = 0; r < size(); ++r) EXPECT_EQ(all[r], groups[r % groups.size()].back());
    return part->barrier();
  });
}

TEST_P(Collectives, PartsMustHaveEveryRankOnce) {
  Ranks ranks = make();
  for (const std::vector<std::vector<uint32_t>>& groups :
       {std::vector<std::vector<uint32_t>>{}, {{size()}}, {{0, 0}}}) {
    const auto results = ranks.run([&](Communicator& world) -> Status {
      return world.split(groups).ok() ? Status() : Error{};
    });
    for (const Status& status : results) EXPECT_FALSE(status.ok());
  }
}

// An error in one part ends the others.
TEST_P(Collectives, WhatEndsAPartEndsAll) {
  if (size() < 4) return;
  std::vector<std::vector<uint32_t>> groups(2);
  for (uint32_t r = 0; r < size(); ++r) groups[r * 2 / size()].push_back(r);
  Ranks ranks = make();
  const auto results = ranks.run([&](Communicator& world) -> Status {
    DCC_ASSIGN(const std::unique_ptr<Communicator> part, world.split(groups));
    if (world.rank() == size() - 1) {
      part->abort(userError("enough"));
      return userError("enough");
    }
    // The last part waits for its last rank, the others for that part.
    DCC_RETURN_IF_ERROR(part->barrier());
    return world.barrier();
  });
  for (uint32_t r = 0; r + 1 < size(); ++r) {
    ASSERT_FALSE(results[r].ok());
    EXPECT_EQ(results[r].error().message, "rank " + std::to_string(size() - 1) + ": enough");
  }
}

TEST_P(Collectives, AllReduceSumsInTheOrderAskedFor) {
  for (const size_t slot : {kSlot, Region::kDefaultSlotBytes}) {
    Ranks ranks = make(slot);
    for (const size_t count : {0, 1, 3, 17, 1023, 1024, 1025, 8192, 8193, 70001}) {
      for (const SumOrder order : kOrders) {
        const std::vector<float> expected = expectedSum(order, size(), count);
        ranks.mustRun([&](Communicator& comm) -> Status {
          std::vector<float> in = values(comm.rank(), count), out(count);
          DCC_RETURN_IF_ERROR(comm.allReduceSum(in.data(), out.data(), count, order));
          EXPECT_TRUE(sameBits(out, expected)) << count << " elements, slot " << slot;
          DCC_RETURN_IF_ERROR(comm.allReduceSum(in.data(), in.data(), count, order));
          EXPECT_TRUE(sameBits(in, expected)) << "in place, " << count << " elements";
          return {};
        });
      }
    }
  }
}

TEST_P(Collectives, ReduceScatterGivesEachItsUnevenShare) {
  Ranks ranks = make();
  for (const size_t base : {0, 1, 700, 3000}) {
    std::vector<size_t> counts(size());
    for (uint32_t r = 0; r < size(); ++r) counts[r] = r % 3 == 1 ? 0 : base * (r + 1) + r;
    const size_t total = std::accumulate(counts.begin(), counts.end(), size_t{0});
    for (const SumOrder order : kOrders) {
      const std::vector<float> sum = expectedSum(order, size(), total);
      ranks.mustRun([&](Communicator& comm) -> Status {
        const std::vector<float> in = values(comm.rank(), total);
        std::vector<float> out(counts[comm.rank()]);
        DCC_RETURN_IF_ERROR(comm.reduceScatterSum(in.data(), out.data(), counts, order));
        const size_t begin =
            std::accumulate(counts.begin(), counts.begin() + comm.rank(), size_t{0});
        EXPECT_TRUE(sameBits(out, std::span(sum).subspan(begin, out.size())));
        return {};
      });
    }
  }
}

TEST_P(Collectives, AllGatherKeepsRankOrder) {
  Ranks ranks = make();
  for (const size_t base : {0, 1, 4096, 10001}) {
    std::vector<size_t> bytes(size());
    for (uint32_t r = 0; r < size(); ++r) bytes[r] = r % 4 == 2 ? 0 : base * (r + 1) + r;
    std::vector<uint8_t> expected;
    for (uint32_t r = 0; r < size(); ++r) {
      for (size_t i = 0; i < bytes[r]; ++i) expected.push_back(uint8_t(r * 31 + i * 7));
    }
    ranks.mustRun([&](Communicator& comm) -> Status {
      std::vector<uint8_t> in(bytes[comm.rank()]), out(expected.size());
      for (size_t i = 0; i < in.size(); ++i) in[i] = uint8_t(comm.rank() * 31 + i * 7);
      DCC_RETURN_IF_ERROR(comm.allGather(in.data(), out.data(), bytes));
      EXPECT_EQ(out, expected);
      return {};
    });
  }
}

TEST_P(Collectives, AllToAllBringsEachWhatIsForIt) {
  Ranks ranks = make();
  const auto byte = [](uint32_t from, uint32_t to, size_t i) {
    return uint8_t(from * 31 + to * 11 + i * 7);
  };
  for (const size_t base : {0, 1, 4096, 10001}) {
    std::vector<size_t> bytes(size() * size());
    for (uint32_t i = 0; i < size(); ++i) {
      for (uint32_t j = 0; j < size(); ++j) {
        if (i != j) bytes[i * size() + j] = (i + j) % 4 == 1 ? 0 : base * (i + 1) + j;
      }
    }
    ranks.mustRun([&](Communicator& comm) -> Status {
      std::vector<uint8_t> in, expected;
      for (uint32_t r = 0; r < size(); ++r) {
        for (size_t i = 0; i < bytes[comm.rank() * size() + r]; ++i) {
          in.push_back(byte(comm.rank(), r, i));
        }
        for (size_t i = 0; i < bytes[r * size() + comm.rank()]; ++i) {
          expected.push_back(byte(r, comm.rank(), i));
        }
      }
      std::vector<uint8_t> out(expected.size());
      const Traffic before = comm.traffic();
      DCC_RETURN_IF_ERROR(comm.allToAll(in.data(), out.data(), bytes));
      EXPECT_EQ(out, expected);
      EXPECT_EQ(comm.traffic() - before, (Traffic{in.size(), out.size()}));
      return {};
    });
  }
}

TEST_P(Collectives, BroadcastFromEveryRoot) {
  Ranks ranks = make();
  ranks.mustRun([&](Communicator& comm) -> Status {
    for (const size_t bytes : {0, 1, 4096, 9999}) {
      for (uint32_t root = 0; root < comm.size(); ++root) {
        std::vector<uint8_t> data(bytes, comm.rank() == root ? uint8_t(root + 1) : 0);
        DCC_RETURN_IF_ERROR(comm.broadcast(data.data(), bytes, root));
        EXPECT_EQ(data, std::vector<uint8_t>(bytes, uint8_t(root + 1)));
      }
    }
    return {};
  });
}

// Ranks run at different speeds through calls of different kinds; no slot may be overwritten while
// someone still reads it.
TEST_P(Collectives, MixedCallsAtDifferentSpeeds) {
  Ranks ranks = make();
  ranks.mustRun([&](Communicator& comm) -> Status {
    std::mt19937 pace(comm.rank()), same(42);
    std::vector<float> data;
    for (int round = 0; round < 300; ++round) {
      if (pace() % 8 == 0) std::this_thread::yield();
      const size_t count = same() % 3000;
      if (same() % 2 == 0) {
        data.assign(count, float(comm.rank() + round));
        DCC_RETURN_IF_ERROR(comm.allReduceSum(data.data(), data.data(), count, SumOrder::kRanks));
        const float n = float(comm.size());
        for (const float x : data) {
          if (x != n * float(round) + n * (n - 1) / 2) return runtimeError("a wrong sum");
        }
      } else {
        data.assign(count, comm.rank() == round % comm.size() ? float(round) : -1);
        DCC_RETURN_IF_ERROR(
            comm.broadcast(data.data(), count * sizeof(float), round % comm.size()));
        for (const float x : data) {
          if (x != float(round)) return runtimeError("a wrong broadcast");
        }
      }
    }
    return {};
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, Collectives,
                         testing::Combine(testing::Values(test::Transport::kSharedMemory,
                                                          test::Transport::kTcp),
                                          testing::Values(1, 2, 3, 4, 8)),
                         [](const auto& info) {
                           const bool tcp = std::get<0>(info.param) == test::Transport::kTcp;
                           return (tcp ? "Tcp" : "SharedMemory") +
                                  std::to_string(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace dcc
