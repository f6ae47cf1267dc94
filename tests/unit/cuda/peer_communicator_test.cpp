#include "runtime/backends/cuda/peer_communicator.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "tests/unit/cuda/device_ranks.h"

namespace dcc::cuda {
namespace {

using std::chrono::milliseconds;
using test::Ranks;
using testing::Stream;
using Peers = testing::OnDevice;

// Few threads: what they exchange is the same, in more turns.
constexpr PeerShape kSmall{3, 32};
constexpr size_t kTurn = size_t{kSmall.blocks} * kSmall.threads * 4;  // elements of one exchange

Result<std::unique_ptr<DeviceCommunicator>> peersOf(Communicator& host,
                                                    const DeviceGroupOptions& options = {},
                                                    const PeerShape& shape = kSmall) {
  DCC_ASSIGN(const auto cards, gatherCards(host, options.number.value_or(host.rank())));
  std::unique_ptr<DeviceCommunicator> none;
  DCC_ASSIGN(PeerAttempt attempt, peerCommunicator(host, cards, options, none, shape));
  if (attempt.communicator == nullptr) return runtimeError(attempt.refused);
  return std::move(attempt.communicator);
}

// Every size about a thread's, a block's and an exchange's words, in both orders, in place too.
Status testAllSizes(DeviceCommunicator& group, const Stream& stream) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{3}, size_t{4}, size_t{5}, size_t{127},
                             size_t{129}, kTurn - 1, kTurn, kTurn + 1, 3 * kTurn + 130}) {
    for (const SumOrder order : {SumOrder::kRanks, SumOrder::kTree}) {
      DCC_RETURN_IF_ERROR(testing::testAllReduce(group, count, order, stream, count % 2 == 0));
    }
    const std::vector<size_t> even(group.size(), count);
    const std::vector<size_t> uneven = testing::unevenSizes(group.size(), count);
    DCC_RETURN_IF_ERROR(testing::testReduceScatter(group, even, SumOrder::kTree, stream));
    DCC_RETURN_IF_ERROR(testing::testReduceScatter(group, uneven, SumOrder::kRanks, stream));
    DCC_RETURN_IF_ERROR(testing::testAllGather(group, even, stream));
    DCC_RETURN_IF_ERROR(testing::testAllGather(group, uneven, stream));
  }
  return Status::success();
}

TEST_F(Peers, ResultsAreTheRankOrderSumsBitForBit) {
  for (const uint32_t size : {2u, 3u, 4u, 5u, 7u, 8u}) {
    Ranks ranks(size);
    ranks.mustRun([](Communicator& host) -> Status {
      DCC_ASSIGN(const auto group, peersOf(host));
      EXPECT_TRUE(group->capturable());
      return testAllSizes(*group, Stream());
    });
  }
}

// `calls` one after the other without a wait, of up to `most` elements, by ranks that run at
// different paces; the last element of each is checked.
void testInARow(uint32_t calls, size_t most, const PeerShape& shape) {
  constexpr uint32_t kRanks = 4;
  Ranks ranks(kRanks);
  ranks.mustRun([&](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, peersOf(host, {}, shape));
    const Stream stream;
    const testing::DeviceBytes in{std::vector<float>(most)};
    const testing::DeviceBytes out{std::vector<float>(calls)};
    for (uint32_t call = 0; call < calls; ++call) {
      const size_t count = 1 + call * 37 % most;
      const std::vector<float> given(count, testing::contribution(host.rank(), call));
      EXPECT_EQ(cudaMemcpyAsync(in.as(), given.data(), count * sizeof(float),
                                cudaMemcpyHostToDevice, stream),
                cudaSuccess);
      DCC_RETURN_IF_ERROR(
          group->allReduceSum(in.as<float>(), in.as<float>(), count, SumOrder::kRanks, stream));
      EXPECT_EQ(cudaMemcpyAsync(out.as<float>() + call, in.as<float>() + count - 1, sizeof(float),
                                cudaMemcpyDeviceToDevice, stream),
                cudaSuccess);
      if (call % 500 == 7 * host.rank()) std::this_thread::sleep_for(milliseconds(2));
    }
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    DCC_RETURN_IF_ERROR(group->poll());
    EXPECT_TRUE(testing::sameBits(out.download<float>(),
                                  testing::expectedSum(kRanks, calls, SumOrder::kRanks)));
    return Status::success();
  });
}

TEST_F(Peers, ThousandsOfCallsInARow) { testInARow(3000, 200, {2, 32}); }

// Of 1 to 3 warps in 1 to 3 blocks, and 1 to 3 exchanges.
TEST_F(Peers, LaunchesOfManyShapesInARow) { testInARow(300, 3000, {3, 96}); }

// A captured call sums what its input holds at each replay, and calls without a graph in between
// are counted with it.
TEST_F(Peers, CallsAreReplayed) {
  Ranks ranks(3);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, peersOf(host));
    const Stream stream;
    constexpr size_t kCount = 200;
    const testing::DeviceBytes in{std::vector<float>(kCount)}, out{std::vector<float>(kCount)};
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    DCC_RETURN_IF_ERROR(
        group->allReduceSum(in.as<float>(), out.as<float>(), kCount, SumOrder::kRanks, stream));
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
    for (uint32_t seed = 0; seed < 9; ++seed) {
      const std::vector<float> given = testing::contributions(host.rank(), kCount, seed);
      EXPECT_EQ(cudaMemcpyAsync(in.as(), given.data(), kCount * sizeof(float),
                                cudaMemcpyHostToDevice, stream),
                cudaSuccess);
      EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
      EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
      EXPECT_TRUE(testing::sameBits(out.download<float>(),
                                    testing::expectedSum(3, kCount, SumOrder::kRanks, seed)));
      if (seed % 3 == 2) {
        DCC_RETURN_IF_ERROR(testing::testAllReduce(*group, 5, SumOrder::kTree, stream));
      }
    }
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    return group->poll();
  });
}

// What a sum with a norm gives is what both give after each other: the sums to the bit.
struct Types {
  DType other, sum, out;
};
Status testAddNorm(DeviceCommunicator& group, const Stream& stream, int64_t rows, int64_t cols,
                   const Types& types, bool in_place) {
  using testing::DeviceMatrix;
  using testing::TestMatrix;
  const auto matrix = [&](DType type) { return TestMatrix(rows, cols, type, 8); };
  std::vector<float> given = testing::contributions(group.rank(), rows * cols);
  for (float& x : given) x *= 1e-4f;  // so that f16 holds their sums
  const testing::DeviceBytes in{given}, reduced{given};
  const testing::DeviceBytes counters{std::vector<uint32_t>(rows)};
  const DeviceMatrix other(matrix(types.other).random(1, 1e3)), sum(matrix(types.sum)),
      out(matrix(types.out)), sum_apart(matrix(types.sum)), out_apart(matrix(types.out)),
      weight(TestMatrix(1, cols).random(2));
  const Matrix all = {reduced.as(), DType::kF32, rows, cols, cols};
  constexpr float kEps = 1e-5f;
  DCC_RETURN_IF_ERROR(group.allReduceSum(in.as<float>(), reduced.as<float>(), rows * cols,
                                         SumOrder::kRanks, stream));
  addRmsNorm({stream}, other.view(), all, weight.f32(), kEps, sum_apart.view(), out_apart.view());
  const Launch on = {stream, false, counters.as<uint32_t>()};
  const Matrix to = in_place ? other.view() : sum.view();
  for (int call = 0; call < (in_place ? 1 : 3); ++call) {  // what is counted is zero again
    DCC_RETURN_IF_ERROR(group.allReduceAddNorm(
        in.as<float>(), {other.view(), to, out.view(), weight.f32(), kEps}, on));
  }
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  DCC_RETURN_IF_ERROR(group.poll());
  EXPECT_TRUE((in_place ? other : sum).download() == sum_apart.download());
  testing::expectClose(out, out_apart.download(), 4);
  return Status::success();
}

TEST_F(Peers, ASumWithTheNormBehindIt) {
  constexpr DType kF32 = DType::kF32, kBF16 = DType::kBF16, kF16 = DType::kF16;
  for (const uint32_t size : {2u, 3u, 8u}) {
    Ranks(size).mustRun([&](Communicator& host) -> Status {
      EXPECT_EQ(cudaSetDevice(static_cast<int>(host.rank())), cudaSuccess);
      DCC_ASSIGN(const auto group, peersOf(host, {}, {12, 64}));
      EXPECT_FALSE(group->takesAddNorm(3, 512));   // more blocks than there are
      EXPECT_FALSE(group->takesAddNorm(1, 4096));  // more than a thread holds
      EXPECT_FALSE(group->takesAddNorm(1, 130));   // rows of no whole fours
      const Stream stream;
      for (const auto& [rows, cols] :
           {std::pair{1, 4}, {8, 64}, {1, 128}, {2, 512}, {3, 172}, {1, 1540}, {1, 2048}}) {
        EXPECT_TRUE(group->takesAddNorm(rows, cols));
        for (const Types& types : {Types{kF32, kF32, kF32},
                                   {kBF16, kBF16, kBF16},
                                   {kF16, kF16, kF16},
                                   {kF32, kF32, kBF16}}) {
          for (const bool in_place : {false, true}) {
            DCC_RETURN_IF_ERROR(testAddNorm(*group, stream, rows, cols, types, in_place));
          }
        }
      }
      return Status::success();
    });
  }
}

// Every rank's words go to all others.
TEST_F(Peers, WhatIsMovedIsCounted) {
  Ranks(3).mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, peersOf(host));
    const Stream stream;
    Traffic last = group->traffic();
    const auto moved = [&] {
      const Traffic now = group->traffic();
      return now - std::exchange(last, now);
    };
    DCC_RETURN_IF_ERROR(testing::testAllReduce(*group, 100, SumOrder::kRanks, stream));
    EXPECT_EQ(moved(), (Traffic{800, 800}));
    const std::vector<size_t> parts = {10, 20, 40};
    const size_t own = parts[group->rank()];
    DCC_RETURN_IF_ERROR(testing::testAllGather(*group, parts, stream));
    EXPECT_EQ(moved(), (Traffic{2 * own, 70 - own}));
    DCC_RETURN_IF_ERROR(testing::testReduceScatter(*group, parts, SumOrder::kRanks, stream));
    EXPECT_EQ(moved(), (Traffic{4 * (70 - own), 8 * own}));
    return Status::success();
  });
}

// A place is taken by all ranks or by none.
TEST_F(Peers, RanksAgreeOnPlaces) {
  Ranks(3).mustRun([](Communicator& host) -> Status {
    DeviceGroupOptions options;
    options.fuse_norms = FuseNorms::kAlways;
    DCC_ASSIGN(const auto group, peersOf(host, options));
    EXPECT_TRUE(group->mayAddNorm(true).value());
    EXPECT_FALSE(group->mayAddNorm(host.rank() != 1).value());
    options.fuse_norms = FuseNorms::kNever;
    DCC_ASSIGN(const auto apart, peersOf(host, options));
    EXPECT_FALSE(apart->mayAddNorm(true).value());
    return Status::success();
  });
}

TEST_F(Peers, ARankThatNeverComesIsNamed) {
  Ranks ranks(3);
  DeviceGroupOptions options;
  options.deadline = milliseconds(300);
  const auto results = ranks.run([=](Communicator& host) mutable -> Status {
    options.number = 4 + host.rank();
    DCC_ASSIGN(const auto group, peersOf(host, options));
    const Stream stream;
    DCC_RETURN_IF_ERROR(testing::testAllReduce(*group, 100, SumOrder::kRanks, stream));
    DCC_RETURN_IF_ERROR(host.barrier());
    EXPECT_EQ(group->failedAt(), std::nullopt);
    Status status;
    if (host.rank() != 1) {
      group->beginInstruction(70);
      status = testing::testAllReduce(*group, 1, SumOrder::kRanks, stream);
      EXPECT_EQ(group->failedAt(), 70);
      group->beginInstruction(71);
      // What comes after does not wait again.
      const auto start = std::chrono::steady_clock::now();
      EXPECT_FALSE(testing::testAllReduce(*group, 5000, SumOrder::kRanks, stream).ok());
      EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(250));
    }
    (void)host.barrier().ok();  // whoever leaves takes its memory along
    return status;
  });
  EXPECT_TRUE(results[1].ok());
  for (const uint32_t r : {0, 2}) {
    EXPECT_EQ(results[r].error().message,
              "no sign of rank 5 for 0.3 s; a longer --timeout waits longer");
  }
}

TEST_F(Peers, AbortEndsTheWait) {
  Ranks ranks(2);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, peersOf(host));
    if (host.rank() == 0) {
      std::thread other([&] {
        std::this_thread::sleep_for(milliseconds(50));
        group->abort();
      });
      const auto start = std::chrono::steady_clock::now();
      const testing::DeviceBytes data{std::vector<float>(4)};
      DCC_RETURN_IF_ERROR(
          group->allReduceSum(data.as<float>(), data.as<float>(), 4, SumOrder::kRanks, nullptr));
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
      EXPECT_EQ(group->poll().error().message, "collectives between GPUs were aborted");
      other.join();
    }
    return host.barrier();
  });
}

// Where IPC is refused to one rank, all do without.
TEST_F(Peers, ManyRanksAreNoPeers) {
  Ranks ranks(9);
  ranks.mustRun([](Communicator& host) -> Status {
    EXPECT_EQ(peersOf(host).error().message, "there are more ranks than 8");
    return Status::success();
  });
}

#ifdef DCC_CUDA_EMULATION
// Ranks as processes: memory opened by its handle.
TEST_F(Peers, ProcessesOpenEachOthersMemory) {
  for (const uint32_t size : {2u, 4u}) {
    const size_t bytes = Region::bytesWithParts(size, Region::kDefaultSlotBytes).value();
    void* const shared =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    const std::span<std::byte> memory(static_cast<std::byte*>(shared), bytes);
    ASSERT_TRUE(Region::format(memory, size, Region::kDefaultSlotBytes).ok());
    std::vector<pid_t> children;
    for (uint32_t r = 0; r < size; ++r) {
      const pid_t child = ::fork();
      if (child == 0) {
        const Status status = [&]() -> Status {
          DCC_ASSIGN(const auto host, sharedMemoryCommunicator(memory, r, size));
          DCC_ASSIGN(const auto group, peersOf(*host));
          DCC_RETURN_IF_ERROR(testAllSizes(*group, Stream()));
          return host->barrier();
        }();
        if (!status.ok()) std::fprintf(stderr, "rank %u: %s\n", r, status.error().message.c_str());
        ::_exit(status.ok() && !::testing::Test::HasFailure() ? 0 : 1);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int result = -1;
      EXPECT_EQ(::waitpid(child, &result, 0), child);
      EXPECT_EQ(result, 0);
    }
    ::munmap(shared, bytes);
  }
}
#endif

}  // namespace
}  // namespace dcc::cuda
