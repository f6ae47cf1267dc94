// What a group does when something goes wrong: aborts, missing ranks, diverging programs, memory
// that is no group's.
#include <cstring>
#include <mutex>

#include "runtime/collectives/tcp_link.h"
#include "tests/unit/collectives/ranks.h"

namespace dcc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::Ranks;
using test::Transport;

milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

class Failures : public testing::TestWithParam<Transport> {};

TEST_P(Failures, AbortWakesAllWithTheFirstError) {
  Ranks ranks(GetParam(), 4);
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
  for (uint32_t r = 0; r < 4; ++r) {
    const auto first = ranks[r].firstError();
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->rank, 2);
    EXPECT_EQ(first->error.message, "weights: a bad byte; a good one");
  }
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

TEST_P(Failures, DeadlineNamesTheMissingRank) {
  Ranks ranks(GetParam(), 3, Region::kDefaultSlotBytes, {milliseconds(300), true});
  const auto start = steady_clock::now();
  const auto results = ranks.run([](Communicator& comm) -> Status {
    if (comm.rank() == 1) return {};  // never comes
    float x = 0;
    return comm.allReduceSum(&x, &x, 1, SumOrder::kRanks);
  });
  EXPECT_GE(since(start), milliseconds(300));
  EXPECT_LT(since(start), milliseconds(10000));
  // The other waiter reports the same, or that rank 0 or 2 already did.
  EXPECT_FALSE(results[0].ok());
  EXPECT_FALSE(results[2].ok());
  const auto first = ranks[0].firstError();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->error.message,
            "all-reduce of 4 bytes: no sign of rank 1 for 0.3 s; a longer --timeout waits longer");
  EXPECT_EQ(first->error.fault, Fault::kRuntime);
}

TEST_P(Failures, SignsOfLifeExtendTheDeadline) {
  Ranks ranks(GetParam(), 2, Region::kDefaultSlotBytes, {milliseconds(400), true});
  ranks.mustRun([](Communicator& comm) -> Status {
    for (int i = 0; comm.rank() == 1 && i < 12; ++i) {
      std::this_thread::sleep_for(milliseconds(100));
      comm.noteProgress();
    }
    return comm.barrier();
  });
}

// Whoever reports a missing rank knows where all are.
TEST_P(Failures, AllRanksAreSeenWhereTheyAre) {
  Ranks ranks(GetParam(), 4, Region::kDefaultSlotBytes, {milliseconds(600), true});
  std::vector<Sighting> seen;
  ranks.run([&](Communicator& comm) -> Status {
    DCC_RETURN_IF_ERROR(comm.barrier());
    Whereabouts& here = comm.whereabouts();
    here.set(&Whereabouts::place, kInEntry + 1);
    here.set(&Whereabouts::step, 14);
    here.set(&Whereabouts::instruction, comm.rank() == 2 ? 35 : 37);
    float x = 0;
    DCC_RETURN_IF_ERROR(comm.allReduceSum(&x, &x, 1, SumOrder::kRanks));
    if (comm.rank() == 2) {  // it has stopped
      std::this_thread::sleep_for(milliseconds(1200));
      return Status::success();
    }
    const Status failed = comm.allReduceSum(&x, &x, 1, SumOrder::kRanks);
    if (failed.error().message.starts_with("all-reduce")) {
      static std::mutex mutex;
      const std::lock_guard lock(mutex);
      seen = comm.sightings();
    }
    return failed;
  });
  const DescribeInstruction describe = [](uint32_t entry, uint32_t instruction) {
    return "entry " + std::string(entry == 1 ? "'decode'" : "?") + ", instruction " +
           std::to_string(instruction);
  };
  EXPECT_EQ(sightingsText(seen, describe),
            "ranks 0, 1, 3: in step 14, entry 'decode', instruction 37, collective 3\n"
            "rank 2: in step 14, entry 'decode', instruction 35, collective 2  <- missing\n");
}

// A rank that goes from instruction to instruction is alive, whatever it takes to the next call.
TEST_P(Failures, GoingOnIsASignOfLife) {
  Ranks ranks(GetParam(), 2, Region::kDefaultSlotBytes, {milliseconds(1500), true});
  ranks.mustRun([](Communicator& comm) -> Status {
    for (uint32_t i = 0; comm.rank() == 1 && i < 40; ++i) {
      std::this_thread::sleep_for(milliseconds(100));
      comm.whereabouts().set(&Whereabouts::instruction, i);
    }
    return comm.barrier();
  });
}

TEST(Whereabouts, AThousandRanksAreAFewLines) {
  std::vector<Sighting> ranks(1024, {{kLoading, 0, 0, 3}, false});
  ranks[512].missed = true;
  ranks[512].where.place = kStarting;
  ranks[1] = ranks[3] = {{kBetweenSteps, 0, 7, 3}, false};
  EXPECT_EQ(sightingsText(ranks, {}),
            "ranks 0, 2, 4-511, 513-1023: loading weights, collective 3\n"
            "ranks 1, 3: after step 6, collective 3\n"
            "rank 512: starting, collective 3  <- missing\n");
  EXPECT_EQ(whereText({kInEntry + 3, 9, 2, 0}, {}), "in step 2, entry 3, instruction 9");
  EXPECT_EQ(whereText({kBetweenSteps, 9, 0, 0}, {}), "before the first step");
}

// Ranks that would make the same call, but not in the same step or of the same tokens.
TEST_P(Failures, DifferentStampsAreReported) {
  Ranks ranks(GetParam(), 3);
  const auto results = ranks.run([](Communicator& comm) -> Status {
    float x = 0;
    comm.stamp(5);
    DCC_RETURN_IF_ERROR(comm.allReduceSum(&x, &x, 1, SumOrder::kRanks));
    comm.stamp(comm.rank() == 1 ? 7 : 6);
    return comm.allReduceSum(&x, &x, 1, SumOrder::kRanks);
  });
  EXPECT_FALSE(results[0].ok() || results[1].ok() || results[2].ok());
  const std::string message = ranks[0].firstError()->error.message;
  EXPECT_NE(message.find("have come to all-reduce of 4 bytes with different steps or tokens"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("rank 1"), std::string::npos) << message;
}

TEST_P(Failures, DivergingCallsAreReportedNotMixed) {
  Ranks ranks(GetParam(), 2);
  const auto results = ranks.run([](Communicator& comm) -> Status {
    float x[4] = {};
    return comm.rank() == 0 ? comm.allReduceSum(x, x, 4, SumOrder::kRanks)
                            : comm.broadcast(x, sizeof(x), 0);
  });
  EXPECT_FALSE(results[0].ok() && results[1].ok());
  const std::string message = ranks[0].firstError()->error.message;
  EXPECT_NE(message.find("all-reduce of 16 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("broadcast of 16 bytes from rank 0"), std::string::npos) << message;
}

TEST_P(Failures, AbortFromAnotherThreadEndsACall) {
  Ranks ranks(GetParam(), 2);
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(100));
    ranks[0].abort(runtimeError("enough"));
  });
  const auto results = ranks.run(
      [](Communicator& comm) { return comm.rank() == 0 ? comm.barrier() : Status::success(); });
  other.join();
  EXPECT_FALSE(results[0].ok());
  // Over TCP rank 0 may have said that it came before it was stopped.
  (void)ranks[1].barrier().ok();
  EXPECT_EQ(ranks[1].barrier().error().message, "rank 0: enough");
}

// A rank that waits for its user hears of it too.
TEST_P(Failures, AnAbortIsHeardBetweenCalls) {
  Ranks ranks(GetParam(), 3);
  ranks.mustRun([](Communicator& comm) { return comm.barrier(); });
  EXPECT_TRUE(ranks[0].standBy().ok());
  ranks[2].abort(userError("in.jsonl:3: no JSON"));
  Status status;
  for (const auto start = steady_clock::now(); status.ok() && since(start) < milliseconds(5000);) {
    status = ranks[0].standBy();
  }
  EXPECT_EQ(status.error().message, "rank 2: in.jsonl:3: no JSON");
}

INSTANTIATE_TEST_SUITE_P(Transports, Failures,
                         testing::Values(Transport::kSharedMemory, Transport::kTcp),
                         [](const auto& info) {
                           return info.param == Transport::kTcp ? "Tcp" : "SharedMemory";
                         });

TEST(TcpFailure, ALostPeerIsNamedByAll) {
  Ranks ranks(Transport::kTcp, 4);
  for (const Status& status : ranks.run([&](Communicator& comm) -> Status {
         DCC_RETURN_IF_ERROR(comm.barrier());
         if (comm.rank() == 2) {
           ranks.drop(2);
           return Status::success();
         }
         float x = 0;
         const Status failed = comm.allReduceSum(&x, &x, 1, SumOrder::kRanks);
         EXPECT_EQ(failed.error().message,
                   "rank 2: its connection ended: it died, or its host cannot be reached");
         return Status::success();
       })) {
    EXPECT_TRUE(status.ok());
  }
}

// Rank 0 of three; rank 1 is a link, rank 2 a socket.
struct RankZero {
  std::unique_ptr<Communicator> comm;
  Whereabouts at_one;
  std::optional<TcpLink> one;
  UniqueFd two;

  explicit RankZero(milliseconds deadline = std::chrono::seconds(20)) {
    std::vector<UniqueFd> peers(3);
    auto [a, b] = test::tcpPair();
    std::tie(peers[2], two) = test::tcpPair();
    peers[1] = std::move(a);
    one.emplace(std::move(b), 1, 0, at_one);
    comm = tcpCommunicator(std::move(peers), 0, {deadline, true});
  }
  void hearsOfOne(Call call, const std::vector<char>& data) {
    one->send({static_cast<uint16_t>(call), 0, 0, data.size()}, data.data(), data.size());
    while (one->busy()) one->advance();
  }
};

// A peer that had all of a call may be in the next one when another is found gone.
TEST(TcpFailure, APeerThatIsAheadIsNotTakenForTheCause) {
  RankZero zero;
  zero.hearsOfOne(Call::kBarrier, {});
  zero.hearsOfOne(Call::kAllReduce, std::vector<char>(100'000));  // more than a link buffers
  zero.two.reset();
  EXPECT_EQ(zero.comm->barrier().error().message,
            "rank 2: its connection ended: it died, or its host cannot be reached");
}

// Nor is why it ended missed behind what it sent before. A reason from outside gets no second line.
TEST(TcpFailure, TheCauseIsHeardBehindOtherCalls) {
  RankZero zero;
  zero.hearsOfOne(Call::kAllReduce, std::vector<char>(100'000));
  zero.one->sendEnd({2, userError("in.jsonl:3: no JSON\n")});
  zero.two.reset();
  EXPECT_EQ(zero.comm->broadcast(nullptr, 0, 2).error().message, "rank 2: in.jsonl:3: no JSON\\n");
}

// Rank 0 waits for rank 1, which waits for rank 2: not rank 1 is missing.
TEST(TcpFailure, WhoWaitsForAnotherIsNotMissing) {
  Ranks ranks(Transport::kTcp, 3, Region::kDefaultSlotBytes, {milliseconds(400), true});
  const auto results = ranks.run([](Communicator& comm) -> Status {
    char byte = 0;
    return comm.rank() == 2 ? Status::success() : comm.broadcast(&byte, 1, comm.rank() + 1);
  });
  for (const uint32_t r : {0, 1}) {
    const std::string message = results[r].error().message;
    EXPECT_NE(message.find("no sign of rank 2 for 0.4 s"), std::string::npos) << message;
  }
}

// Who has said that it waits and then falls silent is missed between calls too; rank 2 has yet to
// say anything.
TEST(TcpFailure, SilenceIsNoticedBetweenCalls) {
  RankZero zero(milliseconds(400));
  zero.one->send({static_cast<uint16_t>(Call::kBroadcast), 1, 0, 0}, nullptr, 0);
  zero.one->advance();
  EXPECT_TRUE(zero.comm->broadcast(nullptr, 0, 1).ok());
  std::this_thread::sleep_for(milliseconds(50));
  zero.one->beat(false);
  const auto start = steady_clock::now();
  Status status;
  while (status.ok() && since(start) < milliseconds(5000)) {
    std::this_thread::sleep_for(milliseconds(10));
    status = zero.comm->standBy();
  }
  EXPECT_EQ(status.error().message, "no sign of rank 1 for 0.4 s; a longer --timeout waits longer");
  EXPECT_GE(since(start), milliseconds(300));
}

TEST(TcpFailure, ADeathIsNoticedBetweenCalls) {
  RankZero zero;
  EXPECT_TRUE(zero.comm->standBy().ok());
  zero.two.reset();
  Status status;
  for (const auto start = steady_clock::now(); status.ok() && since(start) < milliseconds(5000);) {
    status = zero.comm->standBy();
  }
  EXPECT_EQ(status.error().message,
            "rank 2: its connection ended: it died, or its host cannot be reached");
}

// A broadcast's root only sends; it learns that nobody listens, and why.
TEST(TcpFailure, ARootLearnsWhyItsPeerHasGone) {
  Ranks ranks(Transport::kTcp, 2);
  ranks[1].abort(userError("in.jsonl:3: no JSON"));
  ranks.drop(1);
  std::vector<char> data(1 << 20);
  Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    status = ranks[0].broadcast(data.data(), data.size(), 0);
  }
  EXPECT_EQ(status.error().message, "rank 1: in.jsonl:3: no JSON");
  EXPECT_EQ(status.error().fault, Fault::kUser);
}

// A connection that is closed while something in it was not read takes along what it still has to
// send; a rank that leaves loses nothing.
TEST(TcpFailure, WhatARankSendsLastArrives) {
  Ranks ranks(Transport::kTcp, 2);
  ranks[1].noteProgress();
  std::thread sender([&] {
    std::vector<char> last(1 << 20, 'x');
    EXPECT_TRUE(ranks[0].broadcast(last.data(), last.size(), 0).ok());
    EXPECT_TRUE(ranks[0].leave().ok());
    ranks.drop(0);
  });
  std::this_thread::sleep_for(milliseconds(200));  // most of it is on its way
  std::vector<char> last(1 << 20);
  EXPECT_TRUE(ranks[1].broadcast(last.data(), last.size(), 0).ok());
  EXPECT_EQ(last, std::vector<char>(1 << 20, 'x'));
  EXPECT_TRUE(ranks[1].leave().ok());
  sender.join();
}

TEST(TcpFailure, WhoLeavesWhileOthersWorkIsNamed) {
  Ranks ranks(Transport::kTcp, 2);
  const auto results = ranks.run([](Communicator& comm) -> Status {
    return comm.rank() == 0 ? comm.barrier() : comm.leave();
  });
  EXPECT_FALSE(results[0].ok() && results[1].ok());
  EXPECT_NE(ranks[0].firstError()->error.message.find("in end"), std::string::npos)
      << ranks[0].firstError()->error.message;
}

TEST(TcpFailure, ConnectionsAreKeptAliveAsLongAsTheDeadline) {
  for (const int seconds : {1, 30, 600}) {
    auto [a, b] = test::tcpPair();
    const int fd = a.get();
    std::vector<UniqueFd> peers(2);
    peers[1] = std::move(a);
    const auto comm = tcpCommunicator(std::move(peers), 0, {std::chrono::seconds(seconds), true});
    int alive = 0;
    unsigned limit = 0;
    socklen_t size = sizeof(int);
    ::getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &alive, &size);
    ::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, &size);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(limit, std::max(seconds, 60) * 1000u);
  }
}

// Beats between frames, as many as the socket takes, are not mixed with what follows.
TEST(TcpFailure, BeatsAreNotMixedWithPayloads) {
  auto [a, b] = test::tcpPair();
  const Whereabouts here;
  TcpLink from(std::move(a), 0, 1, here), to(std::move(b), 1, 0, here);
  for (int i = 0; i < 200000; ++i) from.beat(true);
  std::vector<uint8_t> sent(1 << 20), received(1 << 20);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<uint8_t>(i * 7);
  const CallTag tag{static_cast<uint16_t>(Call::kBroadcast), 0, 0, sent.size()};
  from.send(tag, sent.data(), sent.size());
  to.receive(tag, received.data(), received.size());
  while (from.busy() || to.busy()) {
    from.advance();
    to.advance();
    ASSERT_FALSE(from.failure() || to.failure() || from.lost() || to.lost());
  }
  EXPECT_EQ(sent, received);
}

TEST(TcpFailure, BytesThatAreNoFrameAreRefused) {
  auto [a, b] = test::tcpPair();
  const Whereabouts here;
  TcpLink link(std::move(a), 0, 1, here);
  const std::string http = "GET / HTTP/1.1\r\nHost: nobody in particular\r\nAccept: */*\r\n\r\n";
  ASSERT_EQ(::write(b.get(), http.data(), http.size()), static_cast<ssize_t>(http.size()));
  link.receive({}, nullptr, 0);
  while (!link.failure()) link.advance();
  EXPECT_EQ(link.failure()->named().message, "rank 1: sent what is no frame");
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
