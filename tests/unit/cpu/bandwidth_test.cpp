// Ranks as threads measure together.
#include "runtime/backends/cpu/bandwidth.h"

#include "tests/unit/collectives/ranks.h"

namespace dcc::cpu {
namespace {

// Between a floppy disk and the registers of any machine.
bool isPlausible(double bytes_per_second) {
  return bytes_per_second > 1e5 && bytes_per_second < 1e14;
}

TEST(Bandwidth, IsABandwidth) {
  ThreadPool pool(2);
  const Result<double> measured = measureReadBandwidth(pool, size_t{8} << 20);
  ASSERT_TRUE(measured.ok()) << measured.error().message;
  EXPECT_PRED1(isPlausible, *measured);
}

// Each times the same, from barrier to barrier, by its own clock; sizes may differ and have rests.
TEST(Bandwidth, RanksReadTogether) {
  double seconds[2] = {};
  test::Ranks(2).mustRun([&](Communicator& world) -> Status {
    ThreadPool own(2);
    const size_t bytes = (size_t{8} << 20) + 1000 * world.rank();
    DCC_ASSIGN(const Memory memory, memoryToRead(own, bytes));
    for (int pass = 0; pass < 5; ++pass) {
      DCC_ASSIGN(const double taken, readSeconds(own, {memory.data(), bytes}, &world));
      seconds[world.rank()] += taken;
    }
    return Status::success();
  });
  EXPECT_PRED1(isPlausible, 5.0 * (8 << 20) / seconds[0]);
  EXPECT_LT(seconds[0], seconds[1] * 4);
  EXPECT_LT(seconds[1], seconds[0] * 4);
}

TEST(Bandwidth, NoMemoryIsAnError) {
  ThreadPool pool(1);
  EXPECT_FALSE(measureReadBandwidth(pool, size_t{1} << 60).ok());
}

}  // namespace
}  // namespace dcc::cpu
