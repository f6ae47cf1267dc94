#include "runtime/backends/cuda/staged_communicator.h"

#include "tests/unit/cuda/device_ranks.h"

namespace dcc::cuda {
namespace {

using test::Ranks;
using testing::Stream;
using Staged = testing::OnDevice;

TEST_F(Staged, SumsAndGathersAreTheHosts) {
  // One that is larger than staging memory, and not a multiple of it.
  constexpr size_t kLarge = (size_t{5} << 20) / sizeof(float) + 3;
  for (const uint32_t size : {2u, 3u}) {
    Ranks ranks(size);
    ranks.mustRun([&](Communicator& host) -> Status {
      DCC_ASSIGN(const auto group, stagedCommunicator(host));
      EXPECT_EQ(group->rank(), host.rank());
      EXPECT_EQ(group->size(), size);
      EXPECT_FALSE(group->capturable());
      const Stream stream;
      for (const size_t count : {size_t{0}, size_t{1}, size_t{1000}, kLarge}) {
        if (count == kLarge && size > 2) continue;  // takes long
        DCC_RETURN_IF_ERROR(testing::testAllReduce(*group, count, SumOrder::kRanks, stream));
        DCC_RETURN_IF_ERROR(testing::testAllReduce(*group, count, SumOrder::kTree, stream, true));
        const std::vector<size_t> even(size, count), uneven = testing::unevenSizes(size, count);
        DCC_RETURN_IF_ERROR(testing::testAllGather(*group, even, stream));
        DCC_RETURN_IF_ERROR(testing::testAllGather(*group, uneven, stream));
        DCC_RETURN_IF_ERROR(testing::testReduceScatter(*group, even, SumOrder::kTree, stream));
        DCC_RETURN_IF_ERROR(testing::testReduceScatter(*group, uneven, SumOrder::kRanks, stream));
      }
      return Status::success();
    });
  }
}

TEST_F(Staged, CannotBeCaptured) {
  Ranks ranks(2);
  ranks.mustRun([](Communicator& host) -> Status {
    DCC_ASSIGN(const auto group, stagedCommunicator(host));
    const Stream stream;
    const testing::DeviceBytes data(std::vector<float>(4));
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_FALSE(
        group->allReduceSum(data.as<float>(), data.as<float>(), 4, SumOrder::kRanks, stream).ok());
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();
    return Status::success();
  });
}

// An abort of the group is heard by who looks after it.
TEST_F(Staged, WaitingHearsOfTheGroupsEnd) {
  Ranks ranks(2);
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  const auto group = std::move(stagedCommunicator(ranks[0])).value();
  DeviceCommunicator* const groups[] = {group.get(), nullptr};
  EXPECT_TRUE(waitFor(event, groups, std::chrono::seconds(1)).ok());
  ranks[1].abort(runtimeError("gone"));
  EXPECT_EQ(waitFor(event, groups, std::chrono::seconds(1)).error().message, "rank 1: gone");
  cudaEventDestroy(event);
}

}  // namespace
}  // namespace dcc::cuda
