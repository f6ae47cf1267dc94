// What a group does when something goes wrong: aborts, missing ranks, diverging programs, memory
// that is no group's.
#include <cstring>

#include "tests/unit/collectives/ranks.h"

namespace dcc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::Ranks;

milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

TEST(Failure, AbortWakesAllWithTheFirstError) {
  Ranks ranks(4);
  const auto start = steady_clock::now();
  const auto results = ranks.run([](Communicator& comm) -> Status {
    if (comm.rank() != 2) return comm.barrier();
    std::this_thread::sleep_for(milliseconds(100));  // the others sleep in the kernel by now
    return userError("weights: a bad byte; a good one");
  });
  EXPECT_LT(since(start), milliseconds(5000));
  for (int r : {0, 1, 3}) {
    EXPECT_EQ(results[r].error().message, "rank 2: weights: a bad byte; a good one");
    EXPECT_EQ(results[r].error().fault, Fault::kUser);
  }
  const auto first = ranks.region().firstError();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->rank, 2);
  EXPECT_EQ(first->error.message, "weights: a bad byte; a good one");
}

TEST(Failure, OnlyTheFirstErrorIsKeptAndLongOnesAreCut) {
  Ranks ranks(2);
  const Region region = ranks.region();
  EXPECT_FALSE(region.firstError().has_value());
  region.abort(-1, runtimeError(std::string(10000, 'x')));
  region.abort(1, runtimeError("later"));
  const auto first = region.firstError();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->rank, -1);
  EXPECT_GT(first->error.message.size(), 1000u);
  EXPECT_EQ(first->error.message.find_first_not_of('x'), std::string::npos);
  for (const Status& s : ranks.run([](Communicator& comm) { return comm.barrier(); })) {
    EXPECT_FALSE(s.ok());
  }
}

TEST(Failure, DeadlineNamesTheMissingRank) {
  Ranks ranks(3, Region::kDefaultSlotBytes, {milliseconds(300), true});
  const auto start = steady_clock::now();
  const auto results = ranks.run([](Communicator& comm) -> Status {
    if (comm.rank() == 1) return {};  // never comes
    float x = 0;
    return comm.allReduceSum(&x, &x, 1);
  });
  EXPECT_GE(since(start), milliseconds(300));
  EXPECT_LT(since(start), milliseconds(10000));
  // The other waiter reports the same, or that rank 0 or 2 already did.
  EXPECT_FALSE(results[0].ok());
  EXPECT_FALSE(results[2].ok());
  const auto first = ranks.region().firstError();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->error.message,
            "all-reduce of 4 bytes: no sign of rank 1 for 0.3 s; a longer --timeout waits longer");
  EXPECT_EQ(first->error.fault, Fault::kRuntime);
}

TEST(Failure, SignsOfLifeExtendTheDeadline) {
  Ranks ranks(2, Region::kDefaultSlotBytes, {milliseconds(400), true});
  ranks.mustRun([](Communicator& comm) -> Status {
    for (int i = 0; comm.rank() == 1 && i < 12; ++i) {
      std::this_thread::sleep_for(milliseconds(100));
      comm.noteProgress();
    }
    return comm.barrier();
  });
}

TEST(Failure, DivergingCallsAreReportedNotMixed) {
  Ranks ranks(2);
  const auto results = ranks.run([](Communicator& comm) -> Status {
    float x[4] = {};
    return comm.rank() == 0 ? comm.allReduceSum(x, x, 4) : comm.broadcast(x, sizeof(x), 0);
  });
  EXPECT_FALSE(results[0].ok() && results[1].ok());
  const std::string message = ranks.region().firstError()->error.message;
  EXPECT_NE(message.find("all-reduce of 16 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("broadcast of 16 bytes from rank 0"), std::string::npos) << message;
}

TEST(Failure, RegionIsValidated) {
  EXPECT_FALSE(Region::bytesFor(0, 4096).ok());
  EXPECT_FALSE(Region::bytesFor(1025, 1 << 20).ok());
  EXPECT_FALSE(Region::bytesFor(2, 100).ok());
  EXPECT_FALSE(Region::bytesFor(8, 64).ok());
  EXPECT_FALSE(Region::bytesFor(2, size_t{1} << 40).ok());

  const size_t bytes = Region::bytesFor(2, 4096).value();
  struct alignas(64) Unit {
    std::byte bytes[64];
  };
  std::vector<Unit> units(bytes / sizeof(Unit) + 1);
  const std::span<std::byte> memory(units[0].bytes, bytes);
  EXPECT_FALSE(Region::open(memory).ok()) << "zeros are no region";
  EXPECT_FALSE(Region::format(memory.first(bytes - 1), 2, 4096).ok());
  EXPECT_FALSE(Region::format({memory.data() + 8, bytes}, 2, 4096).ok());
  ASSERT_TRUE(Region::format(memory, 2, 4096).ok());
  EXPECT_TRUE(Region::open(memory).ok());
  EXPECT_FALSE(Region::open(memory.first(bytes - 1)).ok());
  EXPECT_FALSE(Region::open(memory.first(10)).ok());
  EXPECT_TRUE(sharedMemoryCommunicator(memory, 1, 2).ok());
  EXPECT_FALSE(sharedMemoryCommunicator(memory, 2, 2).ok());
  EXPECT_FALSE(sharedMemoryCommunicator(memory, 0, 3).ok());
  // Every header field is looked at.
  for (size_t at = 0; at < 32; ++at) {
    std::byte& byte = memory[at];
    const std::byte was = byte;
    byte ^= std::byte{0x40};
    EXPECT_FALSE(Region::open(memory).ok()) << "byte " << at;
    byte = was;
  }
}

}  // namespace
}  // namespace dcc
