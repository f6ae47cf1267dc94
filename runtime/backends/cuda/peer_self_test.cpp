#include "runtime/backends/cuda/peer_self_test.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/backends/cuda/device_memory.h"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/collectives/sum.h"

namespace dcc::cuda {
namespace {

constexpr const char* kWhere = "the test of collectives between GPUs";

// What rank r gives, of sizes that make every order of sums another result.
float given(uint32_t r, uint32_t i, uint32_t round) {
  const uint32_t bits = (i * 2654435761u) ^ (r * 40503u + round * 977u);
  return std::bit_cast<float>((bits & 0x807fffff) | (0x3d000000 + (bits >> 7 & 0x05000000)));
}

// Device memory for what goes in and comes out, and a stream.
class Bench {
 public:
  Status prepare(size_t count) {
    count_ = count;
    DCC_ASSIGN(memory_, DeviceMemory::allocate(2 * count * sizeof(float)));
    DCC_ASSIGN(stream_, Stream::create());
    return Status::success();
  }
  float* in() { return reinterpret_cast<float*>(memory_.data()); }
  float* out() { return in() + count_; }
  cudaStream_t stream() { return stream_.get(); }
  Status put(const std::vector<float>& numbers) {
    return check(
        cudaMemcpy(in(), numbers.data(), numbers.size() * sizeof(float), cudaMemcpyHostToDevice),
        kWhere);
  }
  // Whether `out` begins with `expected`, bit for bit.
  Status compare(const std::vector<float>& expected) {
    DCC_RETURN_IF_ERROR(check(cudaStreamSynchronize(stream()), kWhere));
    std::vector<float> got(expected.size());
    DCC_RETURN_IF_ERROR(check(
        cudaMemcpy(got.data(), out(), got.size() * sizeof(float), cudaMemcpyDeviceToHost), kWhere));
    const auto same = [](float a, float b) {
      return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
    };
    if (std::equal(got.begin(), got.end(), expected.begin(), same)) return Status::success();
    return runtimeError(std::string(kWhere) + ": a wrong result");
  }

 private:
  size_t count_ = 0;
  DeviceMemory memory_;
  Stream stream_;
};

using Numbers = std::vector<float>;

// All ranks go on to the end, also when their results differ: others wait for them. The first error
// is kept.
class Test {
 public:
  Test(DeviceCommunicator& group, Bench& bench) : group_(group), bench_(bench) {}

  void round(uint32_t count, uint32_t round) {
    std::vector<Numbers> all(group_.size(), Numbers(count));
    std::vector<const float*> parts;
    Numbers gathered;
    for (uint32_t r = 0; r < group_.size(); ++r) {
      for (uint32_t i = 0; i < count; ++i) all[r][i] = given(r, i, round);
      parts.push_back(all[r].data());
      gathered.insert(gathered.end(), all[r].begin(), all[r].end());
    }
    note(bench_.put(all[group_.rank()]));
    for (const SumOrder order : {SumOrder::kRanks, SumOrder::kTree}) {
      Numbers expected(count);
      sum(parts, order, expected.data(), count);
      note(group_.allReduceSum(bench_.in(), bench_.out(), count, order, bench_.stream()));
      note(bench_.compare(expected));
      std::vector<size_t> counts(group_.size(), count / group_.size());
      counts.back() += count % group_.size();
      note(group_.reduceScatterSum(bench_.in(), bench_.out(), counts, order, bench_.stream()));
      const auto begin = expected.begin() + static_cast<ptrdiff_t>(counts[0] * group_.rank());
      note(bench_.compare({begin, begin + static_cast<ptrdiff_t>(counts[group_.rank()])}));
    }
    const std::vector<size_t> bytes(group_.size(), count * sizeof(float));
    note(group_.allGather(bench_.in(), bench_.out(), bytes, bench_.stream()));
    note(bench_.compare(gathered));
  }
  const Status& status() const { return status_; }

 private:
  void note(const Status& status) {
    if (status_.ok()) status_ = status;
  }

  DeviceCommunicator& group_;
  Bench& bench_;
  Status status_;
};

}  // namespace

Status testCollectives(DeviceCommunicator& group, size_t words) {
  const size_t most = words + 5;
  Bench bench;
  DCC_RETURN_IF_ERROR(bench.prepare(most * group.size()));
  Test test(group, bench);
  uint32_t round = 0;
  for (const size_t count : {size_t{3}, most, size_t{1}, most}) {
    test.round(static_cast<uint32_t>(count), round++);
  }
  DCC_RETURN_IF_ERROR(test.status());
  return group.poll();
}

Result<bool> isFusedNormFaster(DeviceCommunicator& group, Communicator& host, bool overlap) {
  constexpr int64_t kCols = 4096;
  constexpr int kRuns = 40;
  if (!group.takesAddNorm(1, kCols)) return false;
  // in, other, sum, out and the weight, a row each, and a counter.
  DCC_ASSIGN(const DeviceMemory memory, DeviceMemory::allocate((5 * kCols + 1) * sizeof(float)));
  DCC_ASSIGN(const Stream stream, Stream::create());
  DCC_ASSIGN(const Event begin, Event::create(cudaEventDefault));
  DCC_ASSIGN(const Event end, Event::create(cudaEventDefault));
  float* const rows = reinterpret_cast<float*>(memory.data());
  const auto row = [&](int i) {
    return Matrix{memory.data() + i * kCols * sizeof(float), DType::kF32, 1, kCols, kCols};
  };
  const AddNorm norm = {row(1), row(2), row(3), rows + 4 * kCols, 1e-5f};
  const Launch on = {stream.get(), overlap, reinterpret_cast<uint32_t*>(rows + 5 * kCols)};
  float own[2] = {};  // of both ways, milliseconds
  for (const int warm_up : {1, 0}) {
    for (const int fused : {0, 1}) {
      DCC_RETURN_IF_ERROR(host.barrier());
      DCC_RETURN_IF_ERROR(check(cudaEventRecord(begin.get(), on.stream), kWhere));
      for (int i = 0; i < (warm_up ? 2 : kRuns); ++i) {
        if (fused) {
          DCC_RETURN_IF_ERROR(group.allReduceAddNorm(rows, norm, on));
        } else {
          // Into `out`, so that it is nobody's input.
          float* const sum = rows + 3 * kCols;
          DCC_RETURN_IF_ERROR(group.allReduceSum(rows, sum, kCols, SumOrder::kRanks, on.stream));
          addRmsNorm(on, norm.other, row(3), norm.weight, norm.eps, norm.sum, row(3));
        }
      }
      DCC_RETURN_IF_ERROR(check(cudaEventRecord(end.get(), on.stream), kWhere));
      DCC_RETURN_IF_ERROR(check(cudaEventSynchronize(end.get()), kWhere));
      DCC_RETURN_IF_ERROR(group.poll());
      DCC_RETURN_IF_ERROR(check(cudaEventElapsedTime(&own[fused], begin.get(), end.get()), kWhere));
    }
  }
  std::vector<float> all(2 * host.size());
  const std::vector<size_t> bytes(host.size(), sizeof(own));
  DCC_RETURN_IF_ERROR(host.allGather(own, all.data(), bytes));
  float sums[2] = {};
  for (size_t i = 0; i < all.size(); ++i) sums[i % 2] += all[i];
  return sums[1] < sums[0];
}

}  // namespace dcc::cuda
