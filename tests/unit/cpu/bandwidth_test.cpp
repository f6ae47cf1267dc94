// Ranks as threads measure together.
#include "runtime/backends/cpu/bandwidth.h"

#include "tests/unit/collectives/ranks.h"

namespace dcc::cpu {
namespace {

TEST(Bandwidth, RanksGetOneFigureForAll) {
  constexpr size_t kBytes = size_t{8} << 20;
  ThreadPool pool(1);
  const Result<double> alone = measureReadBandwidth(pool, kBytes, nullptr);
  ASSERT_TRUE(alone.ok()) << alone.error().message;
  // Between a floppy disk and the registers of any machine.
  EXPECT_GT(*alone, 1e5);
  EXPECT_LT(*alone, 1e14);

  double figures[2] = {};
  test::Ranks(2).mustRun([&](Communicator& world) -> Status {
    ThreadPool own(2);
    DCC_ASSIGN(figures[world.rank()], measureReadBandwidth(own, kBytes, &world));
    return Status::success();
  });
  EXPECT_GT(figures[0], 1e5);
  // Each times the same passes, from barrier to barrier, by its own clock.
  EXPECT_LT(figures[0], figures[1] * 4);
  EXPECT_LT(figures[1], figures[0] * 4);
}

TEST(Bandwidth, NoMemoryIsAnError) {
  ThreadPool pool(1);
  EXPECT_FALSE(measureReadBandwidth(pool, size_t{1} << 60, nullptr).ok());
}

}  // namespace
}  // namespace dcc::cpu
