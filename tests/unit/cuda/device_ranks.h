// Ranks with devices, as threads, and what their collectives must give.
#pragma once

#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include "runtime/backends/cuda/device_communicator.h"
#include "runtime/collectives/sum.h"
#include "tests/unit/collectives/ranks.h"
#include "tests/unit/cuda/cuda_test_support.h"

namespace dcc::cuda::testing {

// Element i of what rank r contributes: numbers of many sizes, so that sums in another order
// differ.
inline float contribution(uint32_t r, size_t i, uint32_t seed = 0) {
  const uint32_t x = (static_cast<uint32_t>(i) * 2654435761u) ^ ((r + 1) * 40503u + seed * 977u);
  const float sign = x & 1 ? -1.0f : 1.0f;
  return sign * static_cast<float>(x % 9973) * (x & 2 ? 1.0f : 1e-4f) * (x & 4 ? 1.0f : 1e3f);
}
inline std::vector<float> contributions(uint32_t r, size_t count, uint32_t seed = 0) {
  std::vector<float> all(count);
  for (size_t i = 0; i < count; ++i) all[i] = contribution(r, i, seed);
  return all;
}
inline std::vector<float> expectedSum(uint32_t ranks, size_t count, SumOrder order,
                                      uint32_t seed = 0) {
  std::vector<std::vector<float>> all;
  std::vector<const float*> parts;
  for (uint32_t r = 0; r < ranks; ++r) all.push_back(contributions(r, count, seed));
  for (const auto& part : all) parts.push_back(part.data());
  std::vector<float> out(count);
  sum(parts, order, out.data(), count);
  return out;
}
template <class T>
bool sameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// Each tests one call, of one rank, against what must come of it.
inline Status testAllReduce(DeviceCommunicator& group, size_t count, SumOrder order,
                            cudaStream_t stream, bool in_place = false, uint32_t seed = 0) {
  const DeviceBytes in(contributions(group.rank(), count + 1, seed));
  const DeviceBytes out(std::vector<float>(count + 1, -7.0f));
  float* const to = in_place ? in.as<float>() : out.as<float>();
  DCC_RETURN_IF_ERROR(group.allReduceSum(in.as<float>(), to, count, order, stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  DCC_RETURN_IF_ERROR(group.poll());
  std::vector<float> expected = expectedSum(group.size(), count, order, seed);
  expected.push_back(in_place ? contribution(group.rank(), count, seed) : -7.0f);
  EXPECT_TRUE(sameBits((in_place ? in : out).download<float>(), expected))
      << count << " elements, rank " << group.rank() << " of " << group.size();
  return Status::success();
}

inline Status testReduceScatter(DeviceCommunicator& group, const std::vector<size_t>& counts,
                                SumOrder order, cudaStream_t stream) {
  const size_t all = std::accumulate(counts.begin(), counts.end(), size_t{0});
  const DeviceBytes in(contributions(group.rank(), all + 1));
  const DeviceBytes out(std::vector<float>(counts[group.rank()] + 1, -7.0f));
  DCC_RETURN_IF_ERROR(
      group.reduceScatterSum(in.as<float>(), out.as<float>(), counts, order, stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  DCC_RETURN_IF_ERROR(group.poll());
  const std::vector<float> sums = expectedSum(group.size(), all, order);
  const auto begin = sums.begin() + static_cast<ptrdiff_t>(std::accumulate(
                                        counts.begin(), counts.begin() + group.rank(), size_t{0}));
  std::vector<float> expected(begin, begin + static_cast<ptrdiff_t>(counts[group.rank()]));
  expected.push_back(-7.0f);
  EXPECT_TRUE(sameBits(out.download<float>(), expected))
      << all << " elements, rank " << group.rank() << " of " << group.size();
  return Status::success();
}

inline std::vector<uint8_t> bytesOf(uint32_t r, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + r * 31 + i / 256);
  return bytes;
}
inline Status testAllGather(DeviceCommunicator& group, const std::vector<size_t>& bytes,
                            cudaStream_t stream) {
  std::vector<uint8_t> expected;
  for (uint32_t r = 0; r < group.size(); ++r) {
    const std::vector<uint8_t> part = bytesOf(r, bytes[r]);
    expected.insert(expected.end(), part.begin(), part.end());
  }
  const DeviceBytes in(bytesOf(group.rank(), bytes[group.rank()] + 1));
  const DeviceBytes out(std::vector<uint8_t>(expected.size() + 1, 0xaa));
  expected.push_back(0xaa);
  DCC_RETURN_IF_ERROR(group.allGather(in.as(), out.as(), bytes, stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  DCC_RETURN_IF_ERROR(group.poll());
  EXPECT_TRUE(sameBits(out.download<uint8_t>(), expected))
      << expected.size() << " bytes, rank " << group.rank() << " of " << group.size();
  return Status::success();
}

// Sizes of `ranks` parts that differ, one of them 0 and none a multiple of 16 bytes.
inline std::vector<size_t> unevenSizes(uint32_t ranks, size_t about) {
  std::vector<size_t> sizes(ranks);
  for (uint32_t r = 0; r < ranks; ++r) sizes[r] = r == 1 ? 0 : about + 3 * r;
  return sizes;
}

struct Stream {
  Stream() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess); }
  ~Stream() { cudaStreamDestroy(stream); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream; }
  cudaStream_t stream = nullptr;
};

}  // namespace dcc::cuda::testing
