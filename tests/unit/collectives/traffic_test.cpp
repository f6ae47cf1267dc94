// What traffic.h says of a call against what the transports count while they make it.
#include "runtime/collectives/traffic.h"

#include <numeric>

#include "ranks.h"

namespace dcc {
namespace {

using test::Ranks;
using test::Transport;

// Small slots, so that payloads of a test come in several chunks.
constexpr size_t kSlot = 64 << 10;

class TrafficTest : public ::testing::TestWithParam<std::tuple<Transport, uint32_t>> {
 protected:
  TrafficTest() : ranks_(std::get<0>(GetParam()), size(), kSlot) {}

  static uint32_t size() { return std::get<1>(GetParam()); }
  static GroupShape group(uint32_t rank) {
    const bool tcp = std::get<0>(GetParam()) == Transport::kTcp;
    return {tcp ? TransportKind::kTcp : TransportKind::kSharedMemory, rank, size(), kSlot};
  }

  // Every rank counts in `call` what `stated` says of it.
  void check(const std::function<Status(Communicator&)>& call,
             const std::function<Traffic(const GroupShape&)>& stated) {
    std::vector<Traffic> counted(size());
    ranks_.mustRun([&](Communicator& comm) {
      const Traffic before = comm.traffic();
      Status status = call(comm);
      counted[comm.rank()] = comm.traffic() - before;
      return status;
    });
    for (uint32_t r = 0; r < size(); ++r) {
      const Traffic expected = stated(group(r));
      EXPECT_EQ(counted[r].sent, expected.sent) << "rank " << r;
      EXPECT_EQ(counted[r].received, expected.received) << "rank " << r;
    }
  }

  Ranks ranks_;
};

TEST_P(TrafficTest, AllReduce) {
  // Whole, by shares (from 8192 on, unless two ranks), in chunks, with shares of unequal sizes.
  for (const size_t count : {0, 1, 8191, 8192, 8209, 100'000, 700'001}) {
    SCOPED_TRACE(count);
    for (const bool in_place : {false, true}) {
      check(
          [&](Communicator& comm) {
            std::vector<float> in(count, 1.0f), out(count);
            return comm.allReduceSum(in.data(), in_place ? in.data() : out.data(), count,
                                     SumOrder::kRanks);
          },
          [&](const GroupShape& group) { return allReduceTraffic(group, count); });
    }
  }
}

// Rank r has r times as much as rank 1, rank 0 nothing.
std::vector<size_t> unequal(size_t unit, uint32_t ranks) {
  std::vector<size_t> counts(ranks);
  for (uint32_t r = 0; r < ranks; ++r) counts[r] = r * unit;
  return counts;
}

TEST_P(TrafficTest, AllGather) {
  for (const size_t unit : {0, 3, 5000, 150'000}) {
    SCOPED_TRACE(unit);
    const std::vector<size_t> bytes = unequal(unit, size());
    const size_t all = std::accumulate(bytes.begin(), bytes.end(), size_t{0});
    check(
        [&](Communicator& comm) {
          std::vector<std::byte> in(bytes[comm.rank()]), out(all);
          return comm.allGather(in.data(), out.data(), bytes);
        },
        [&](const GroupShape& group) { return allGatherTraffic(group, bytes); });
  }
}

TEST_P(TrafficTest, ReduceScatter) {
  for (const size_t unit : {0, 3, 5000, 40'000}) {
    SCOPED_TRACE(unit);
    const std::vector<size_t> counts = unequal(unit, size());
    const size_t all = std::accumulate(counts.begin(), counts.end(), size_t{0});
    check(
        [&](Communicator& comm) {
          std::vector<float> in(all, 1.0f), out(counts[comm.rank()]);
          return comm.reduceScatterSum(in.data(), out.data(), counts, SumOrder::kRanks);
        },
        [&](const GroupShape& group) { return reduceScatterTraffic(group, counts); });
  }
}

TEST_P(TrafficTest, NothingForBarriersAndBeats) {
  check(
      [](Communicator& comm) {
        comm.noteProgress();
        return comm.barrier();
      },
      [](const GroupShape&) { return Traffic{}; });
}

INSTANTIATE_TEST_SUITE_P(Groups, TrafficTest,
                         ::testing::Combine(::testing::Values(Transport::kSharedMemory,
                                                              Transport::kTcp),
                                            ::testing::Values(2u, 3u, 4u, 5u)),
                         [](const auto& info) {
                           const bool tcp = std::get<0>(info.param) == Transport::kTcp;
                           return (tcp ? "Tcp" : "SharedMemory") +
                                  std::to_string(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace dcc
