// Which transport carries what.
#include "runtime/backends/cuda/device_communicator.h"

#include "runtime/backends/cuda/emulation/stream.h"
#include "runtime/collectives/nccl/nccl.h"
#include "tests/unit/cuda/device_ranks.h"
#include "tests/unit/cuda/environment.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::cuda {
namespace {

using std::chrono::milliseconds;
using test::Ranks;
using testing::Stream;
using testing::Variable;

// The names on all ranks, which are the same, and what they wrote to stderr.
struct Chosen {
  std::string name, error, notes;
};
Chosen choose(uint32_t size, DeviceTransport transport,
              const std::function<Status(DeviceCommunicator&)>& body = {}) {
  Ranks ranks(size);
  std::vector<Chosen> chosen(size);
  ::testing::internal::CaptureStderr();
  ranks.mustRun([&](Communicator& host) -> Status {
    EXPECT_EQ(cudaSetDevice(static_cast<int>(host.rank() % 8)), cudaSuccess);
    DeviceGroupOptions options;
    options.transport = transport;
    const auto group = deviceCommunicator(host, options);
    Chosen& own = chosen[host.rank()];
    if (!group.ok()) {
      own.error = group.error().message;
      return Status::success();
    }
    own.name = (*group)->name();
    return body ? body(**group) : Status::success();
  });
  chosen[0].notes = ::testing::internal::GetCapturedStderr();
  for (const Chosen& other : chosen) {
    EXPECT_EQ(other.name, chosen[0].name);
    EXPECT_EQ(other.error, chosen[0].error);
  }
  return chosen[0];
}

TEST(DeviceTransports, SmallPayloadsGoDirectlyAndLargeOnesByNccl) {
  const dcc::testing::TemporaryDirectory directory;
  const std::string log = directory / "log";
  const Variable library(nccl::kLibraryVariable, FAKE_NCCL), logged("FAKE_NCCL_LOG", log);
  constexpr size_t kLarge = 600'000;
  const Chosen chosen = choose(2, DeviceTransport::kAuto, [](DeviceCommunicator& group) -> Status {
    const Stream stream;
    EXPECT_TRUE(group.capturable());
    for (const size_t count : {size_t{4096}, kLarge}) {
      DCC_RETURN_IF_ERROR(testing::testAllReduce(group, count, SumOrder::kRanks, stream));
      DCC_RETURN_IF_ERROR(testing::testAllGather(group, {count * 4, count * 4}, stream));
      DCC_RETURN_IF_ERROR(
          testing::testReduceScatter(group, {count, count}, SumOrder::kRanks, stream));
    }
    // NCCL has no such order.
    return testing::testAllReduce(group, kLarge, SumOrder::kTree, stream);
  });
  EXPECT_EQ(chosen.name, "CUDA IPC, NCCL 2.32.0");
  EXPECT_EQ(chosen.notes, "");
  const std::vector<std::string> expected = {"AllReduce 600000 f32", "AllGather 2400000 u8",
                                             "ReduceScatter 600000 f32"};
  EXPECT_EQ(testing::linesAfter(log, "1 nccl"), expected);
}

TEST(DeviceTransports, WithoutNcclAllGoesDirectly) {
  const Variable library(nccl::kLibraryVariable, "/nowhere/libnccl.so.2");
  const Chosen chosen = choose(2, DeviceTransport::kAuto, [](DeviceCommunicator& group) -> Status {
    return testing::testAllReduce(group, 600'000, SumOrder::kRanks, Stream());
  });
  EXPECT_EQ(chosen.name, "CUDA IPC");
  EXPECT_TRUE(chosen.notes.starts_with("note: NCCL: /nowhere/libnccl.so.2: ")) << chosen.notes;
  EXPECT_TRUE(chosen.notes.ends_with(": collectives go through CUDA IPC\n")) << chosen.notes;
}

TEST(DeviceTransports, ManyRanksGoByNcclOrThroughTheHost) {
  {
    const Variable library(nccl::kLibraryVariable, FAKE_NCCL),
        shared(nccl::kSharedGpuVariable, "1");
    const Chosen chosen = choose(9, DeviceTransport::kAuto);
    EXPECT_EQ(chosen.name, "NCCL 2.32.0");
    EXPECT_EQ(chosen.notes, "");
  }
  const Variable library(nccl::kLibraryVariable, "/nowhere/libnccl.so.2");
  EXPECT_EQ(choose(9, DeviceTransport::kAuto).name, "host memory");
}

TEST(DeviceTransports, WhatIsAskedForIsTakenOrRefused) {
  EXPECT_EQ(choose(2, DeviceTransport::kHost).name, "host memory");
  const Variable library(nccl::kLibraryVariable, "/nowhere/libnccl.so.2");
  const Chosen chosen = choose(2, DeviceTransport::kNccl);
  EXPECT_EQ(chosen.name, "");
  EXPECT_TRUE(chosen.error.starts_with("NCCL: /nowhere/libnccl.so.2: ")) << chosen.error;
}

// What waits for an event on the device.
class WaitFor : public ::testing::Test {
 protected:
  WaitFor() { EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess); }
  ~WaitFor() override { cudaEventDestroy(event); }

  cudaEvent_t event = nullptr;
};

TEST_F(WaitFor, EndsWithTheEvent) {
  emulation::setPending(event, true);
  std::thread device([&] {
    std::this_thread::sleep_for(milliseconds(50));
    emulation::setPending(event, false);
  });
  EXPECT_TRUE(waitFor(event, {}, std::chrono::seconds(20)).ok());
  device.join();
}

TEST_F(WaitFor, EndsAtTheDeadline) {
  emulation::setPending(event, true);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(waitFor(event, {}, milliseconds(100)).error().message,
            "the device has not ended its work for 0.1 s; a longer --timeout waits longer");
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(100));
}

// What has begun last, of all groups, is what does not end.
TEST_F(WaitFor, SaysWhichInstruction) {
  const Variable library(nccl::kLibraryVariable, FAKE_NCCL), shared(nccl::kSharedGpuVariable, "1");
  Ranks(2).mustRun([&](Communicator& host) -> Status {
    DeviceGroupOptions options;
    options.transport = DeviceTransport::kNccl;
    DCC_ASSIGN(const auto group, deviceCommunicator(host, options));
    DeviceCommunicator* const groups[] = {nullptr, group.get()};
    const Stream stream;
    constexpr size_t kLarge = 600'000;
    EXPECT_EQ(group->failedAt(), std::nullopt);
    for (const uint32_t instruction : {5, 12}) {
      group->beginInstruction(instruction);
      DCC_RETURN_IF_ERROR(testing::testAllReduce(*group, kLarge, SumOrder::kRanks, stream));
      EXPECT_EQ(group->failedAt(), instruction);
    }
    group->beginStep();
    EXPECT_EQ(group->failedAt(), std::nullopt);
    DCC_RETURN_IF_ERROR(testing::testAllReduce(*group, kLarge, SumOrder::kRanks, stream));
    cudaEvent_t own = nullptr;
    EXPECT_EQ(cudaEventCreateWithFlags(&own, cudaEventDisableTiming), cudaSuccess);
    emulation::setPending(own, true);
    std::optional<uint32_t> failed_at;
    EXPECT_FALSE(waitFor(own, groups, milliseconds(30), &failed_at).ok());
    EXPECT_EQ(failed_at, 12);
    EXPECT_EQ(cudaEventDestroy(own), cudaSuccess);
    return Status::success();
  });
}

// While the device is busy the group's end is heard, and what waits on the device is ended.
TEST_F(WaitFor, EndsWithTheGroup) {
  const Variable library(nccl::kLibraryVariable, "/nowhere/libnccl.so.2");
  emulation::setPending(event, true);
  Ranks ranks(2);
  std::vector<Status> results(2);
  ranks.run([&](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, deviceCommunicator(host, {}));
    DeviceCommunicator* const groups[] = {nullptr, group.get()};
    if (host.rank() == 1) {
      std::this_thread::sleep_for(milliseconds(50));
      host.abort(runtimeError("gone"));
      return Status::success();
    }
    std::optional<uint32_t> failed_at;
    results[0] = waitFor(event, groups, std::chrono::seconds(20), &failed_at);
    EXPECT_EQ(failed_at, std::nullopt);  // nothing waited
    results[1] = group->poll();
    return Status::success();
  });
  EXPECT_EQ(results[0].error().message, "rank 1: gone");
  EXPECT_EQ(results[1].error().message, "collectives between GPUs were aborted");
}

}  // namespace
}  // namespace dcc::cuda
