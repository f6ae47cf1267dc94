// Clocks that differ by what the test says, found out over every transport.
#include "runtime/collectives/clocks.h"

#include <chrono>
#include <cstdlib>

#include "ranks.h"

namespace dcc {
namespace {

using test::Ranks;
using test::Transport;

int64_t trueTime() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Clocks : public ::testing::TestWithParam<std::tuple<Transport, uint32_t>> {};

TEST_P(Clocks, AreAheadByWhatTheyAreGivenOrLess) {
  const auto [transport, size] = GetParam();
  Ranks ranks(transport, size);
  std::vector<ClockReading> readings(size);
  const auto ahead = [](uint32_t rank) { return int64_t{rank} * -3'000'000'000; };
  ranks.mustRun([&](Communicator& comm) -> Status {
    const int64_t own = ahead(comm.rank());
    DCC_ASSIGN(readings[comm.rank()], compareClocks(comm, [own] { return trueTime() + own; }));
    return Status::success();
  });
  for (uint32_t r = 0; r < size; ++r) {
    // What it says of its own error holds.
    EXPECT_LE(std::abs(readings[r].ahead - ahead(r)), readings[r].error) << "rank " << r;
    EXPECT_LE(std::abs(readings[r].at - ahead(r) - trueTime()), 20'000'000'000);
    EXPECT_LT(readings[r].error, 1'000'000'000);
  }
  EXPECT_EQ(readings[0].ahead, 0);
  EXPECT_EQ(readings[0].error, 0);
}

INSTANTIATE_TEST_SUITE_P(Groups, Clocks,
                         ::testing::Combine(::testing::Values(Transport::kSharedMemory,
                                                              Transport::kTcp),
                                            ::testing::Values(1u, 2u, 3u)));

TEST(ClockMap, DriftsEvenlyBetweenItsReadings) {
  const ClockMap map({1000, 100, 3}, {3000, 120, 7});
  EXPECT_EQ(map.toRankZero(1000), 900);
  EXPECT_EQ(map.toRankZero(2000), 1890);
  EXPECT_EQ(map.toRankZero(3000), 2880);
  EXPECT_EQ(map.toRankZero(5000), 4860);
  EXPECT_EQ(map.error(), 7);
  EXPECT_EQ(ClockMap().toRankZero(5), 5);
}

}  // namespace
}  // namespace dcc
