// NCCL's calls against a library that writes them down and makes them (fake_nccl/nccl.cpp).
#include "runtime/collectives/nccl/nccl_communicator.h"

#include "runtime/collectives/nccl/nccl.h"
#include "tests/unit/cuda/device_ranks.h"
#include "tests/unit/cuda/environment.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::nccl {
namespace {

using cuda::DeviceCommunicator;
using cuda::testing::linesAfter;
using cuda::testing::Stream;
using cuda::testing::Variable;
using std::chrono::milliseconds;
using test::Ranks;

class NcclLibrary : public ::testing::Test {
 protected:
  dcc::testing::TemporaryDirectory directory;
  std::string log = directory / "log";
  Variable library{kLibraryVariable, FAKE_NCCL};
  Variable logged{"FAKE_NCCL_LOG", log};
};

// Each rank with a device of its own.
Result<Attempt> attempt(Communicator& host, milliseconds deadline = std::chrono::seconds(20)) {
  EXPECT_EQ(cudaSetDevice(static_cast<int>(host.rank())), cudaSuccess);
  DCC_ASSIGN(const auto cards, cuda::gatherCards(host, host.rank()));
  cuda::DeviceGroupOptions options;
  options.deadline = deadline;
  return ncclCommunicator(host, cards, options);
}
Result<std::unique_ptr<DeviceCommunicator>> made(Communicator& host,
                                                 milliseconds deadline = std::chrono::seconds(20)) {
  DCC_ASSIGN(Attempt result, attempt(host, deadline));
  if (result.communicator == nullptr) return runtimeError(result.refused);
  return std::move(result.communicator);
}
// Why none of two ranks has NCCL.
std::string refusal(milliseconds deadline = std::chrono::seconds(20)) {
  Ranks ranks(2);
  std::vector<std::string> said(2);
  ranks.mustRun([&](Communicator& host) -> Status {
    DCC_ASSIGN(const Attempt result, attempt(host, deadline));
    EXPECT_EQ(result.communicator, nullptr);
    said[host.rank()] = result.refused;
    return Status::success();
  });
  EXPECT_EQ(said[0], said[1]);
  return said[0];
}

TEST_F(NcclLibrary, CallsAndTheirArguments) {
  Ranks ranks(3);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, made(host));
    EXPECT_EQ(group->name(), "NCCL 2.32.0");
    EXPECT_TRUE(group->capturable());
    const Stream stream;
    using cuda::testing::testAllGather;
    using cuda::testing::testReduceScatter;
    DCC_RETURN_IF_ERROR(cuda::testing::testAllReduce(*group, 1001, SumOrder::kRanks, stream, true));
    DCC_RETURN_IF_ERROR(cuda::testing::testAllReduce(*group, 0, SumOrder::kRanks, stream));
    DCC_RETURN_IF_ERROR(testAllGather(*group, {70, 70, 70}, stream));
    DCC_RETURN_IF_ERROR(testAllGather(*group, {7, 0, 9}, stream));
    DCC_RETURN_IF_ERROR(testReduceScatter(*group, {50, 50, 50}, SumOrder::kRanks, stream));
    DCC_RETURN_IF_ERROR(testReduceScatter(*group, {0, 40, 30}, SumOrder::kRanks, stream));
    EXPECT_EQ(cuda::testing::testAllReduce(*group, 5, SumOrder::kTree, stream).error().message,
              "NCCL 2.32.0: sums in an order of its own; another transport is right");
    return Status::success();
  });
  const std::vector<std::string> expected = {"init of 3",
                                             "ncclAllReduce 1001 f32",
                                             "ncclAllGather 70 u8",
                                             "ncclBroadcast 7 u8 from 0",
                                             "ncclBroadcast 9 u8 from 2",
                                             "ncclReduceScatter 50 f32",
                                             "ncclReduce 40 f32 to 1",
                                             "ncclReduce 30 f32 to 2",
                                             "finalize",
                                             "destroy"};
  for (const char* rank : {"0 ", "1 ", "2 "}) EXPECT_EQ(linesAfter(log, rank), expected);
}

TEST_F(NcclLibrary, CallsAreReplayed) {
  Ranks ranks(2);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, made(host));
    const Stream stream;
    constexpr size_t kCount = 100;
    const cuda::testing::DeviceBytes data{std::vector<float>(kCount)};
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    DCC_RETURN_IF_ERROR(
        group->allReduceSum(data.as<float>(), data.as<float>(), kCount, SumOrder::kRanks, stream));
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
    for (uint32_t seed = 0; seed < 3; ++seed) {
      const auto given = cuda::testing::contributions(host.rank(), kCount, seed);
      EXPECT_EQ(cudaMemcpy(data.as(), given.data(), kCount * sizeof(float), cudaMemcpyHostToDevice),
                cudaSuccess);
      EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
      EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
      EXPECT_TRUE(cuda::testing::sameBits(
          data.download<float>(), cuda::testing::expectedSum(2, kCount, SumOrder::kRanks, seed)));
    }
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    return group->poll();
  });
}

TEST_F(NcclLibrary, WhatIsNotIt) {
  const std::string right =
      "; version 2.18.0 or later is right, DCC_NCCL_LIBRARY names another library";
  {
    const Variable old("FAKE_NCCL_VERSION", "21703");
    EXPECT_EQ(refusal(), "NCCL: " FAKE_NCCL " is version 2.17.3" + right);
  }
  {
    const Variable ancient("FAKE_NCCL_VERSION", "2708");
    EXPECT_EQ(refusal(), "NCCL: " FAKE_NCCL " is version 2.7.8" + right);
  }
  {
    const Variable incomplete(kLibraryVariable, INCOMPLETE_NCCL);
    EXPECT_EQ(refusal(), "NCCL: " INCOMPLETE_NCCL " has no ncclCommInitRankConfig" + right);
  }
  {
    const Variable missing(kLibraryVariable, "/nowhere/libnccl.so.2");
    const std::string said = refusal();
    EXPECT_TRUE(said.starts_with("NCCL: /nowhere/libnccl.so.2: cannot open")) << said;
    EXPECT_TRUE(said.ends_with(right)) << said;
  }
}

TEST_F(NcclLibrary, WhatFailsAtTheStart) {
  {
    const Variable fails("FAKE_NCCL_FAIL", "id");
    EXPECT_EQ(refusal(), "NCCL 2.32.0: ncclGetUniqueId: unhandled system error");
  }
  // One that cannot join is named, not that others have waited for it.
  for (const char* who : {"init", "init1"}) {
    const Variable fails("FAKE_NCCL_FAIL", who);
    EXPECT_EQ(refusal(milliseconds(200)),
              "NCCL 2.32.0: ncclCommInitRankConfig: unhandled system error");
  }
}

TEST_F(NcclLibrary, RanksOnOneGpu) {
  const auto all_on_first = [] {
    Ranks ranks(2);
    std::string said;
    ranks.mustRun([&](Communicator& host) -> Status {
      EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
      DCC_ASSIGN(const auto cards, cuda::gatherCards(host, host.rank()));
      DCC_ASSIGN(const Attempt result, ncclCommunicator(host, cards, {}));
      if (host.rank() == 0) said = result.refused;
      return Status::success();
    });
    return said;
  };
  const std::string right =
      ": ranks 0 and 1 share GPU 0000:00:00.0; a GPU for each rank is right, or NCCL 2.32.0 or "
      "later with NCCL_MULTI_RANK_GPU_ENABLE=1";
  EXPECT_EQ(all_on_first(), "NCCL 2.32.0" + right);
  const Variable enabled(kSharedGpuVariable, "1");
  EXPECT_EQ(all_on_first(), "");
  const Variable older("FAKE_NCCL_VERSION", "22907");
  EXPECT_EQ(all_on_first(), "NCCL 2.29.7" + right);
}

TEST_F(NcclLibrary, AFailingCallSaysWhatNcclSays) {
  const Variable fails("FAKE_NCCL_FAIL", "ncclBroadcast");
  Ranks ranks(2);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, made(host));
    const Stream stream;
    EXPECT_EQ(cuda::testing::testAllGather(*group, {1, 2}, stream).error().message,
              "NCCL 2.32.0: ncclBroadcast: internal error: told to fail");
    return Status::success();
  });
}

TEST_F(NcclLibrary, ErrorsOnTheWayArePolled) {
  const Variable fails("FAKE_NCCL_ASYNC", "ncclAllReduce");
  Ranks ranks(2);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, made(host));
    EXPECT_TRUE(group->poll().ok());
    const Stream stream;
    for (int i = 0; i < 2; ++i) {
      // Of the call, or else of poll(): it never ends well.
      EXPECT_EQ(
          cuda::testing::testAllReduce(*group, 4, SumOrder::kRanks, stream).error().message,
          "NCCL 2.32.0: ncclAllReduce: remote process exited or there was a network error: told to "
          "fail later");
    }
    EXPECT_FALSE(group->poll().ok());
    return host.barrier();
  });
}

// What waits for a rank on the device ends with abort(), from another thread. (A graph, since calls
// that are not captured do their work at once here.)
TEST_F(NcclLibrary, AbortEndsWork) {
  Ranks ranks(2);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, made(host));
    if (host.rank() == 0) {
      const Stream stream;
      const cuda::testing::DeviceBytes data{std::vector<float>(4)};
      cudaGraph_t graph = nullptr;
      cudaGraphExec_t exec = nullptr;
      EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
      DCC_RETURN_IF_ERROR(
          group->allReduceSum(data.as<float>(), data.as<float>(), 4, SumOrder::kRanks, stream));
      EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
      EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
      std::thread other([&] {
        std::this_thread::sleep_for(milliseconds(100));
        group->abort();
      });
      const auto start = std::chrono::steady_clock::now();
      EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
      EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(10'000));
      other.join();
      EXPECT_EQ(group->poll().error().message, "NCCL 2.32.0: the communicator was aborted");
      cudaGraphExecDestroy(exec);
      cudaGraphDestroy(graph);
    }
    return host.barrier();
  });
  EXPECT_EQ(linesAfter(log, "0 abort").size(), 1u);
}

// A rank whose group has ended does not wait for others to join.
TEST_F(NcclLibrary, JoiningHearsOfTheGroupsEnd) {
  const Variable fails("FAKE_NCCL_FAIL", "init1");
  Ranks ranks(2);
  const auto start = std::chrono::steady_clock::now();
  const auto results = ranks.run([&](Communicator& host) -> Status {
    std::thread other;
    if (host.rank() == 1) {
      other = std::thread([&] {
        std::this_thread::sleep_for(milliseconds(100));
        ranks[1].abort(runtimeError("gone"));
      });
    }
    const Status status = [&]() -> Status {
      DCC_ASSIGN(const Attempt result, attempt(host));
      return Status::success();
    }();
    if (other.joinable()) other.join();
    return status;
  });
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(10'000));
  for (const Status& status : results) EXPECT_EQ(status.error().message, "rank 1: gone");
}

}  // namespace
}  // namespace dcc::nccl
