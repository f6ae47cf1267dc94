#include "runtime/backends/cpu/bandwidth.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>

#include "runtime/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/bandwidth.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Reads `bytes` but for a last part smaller than four vectors; the result only keeps the loads.
float readAll(const std::byte* data, size_t bytes) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float* p = reinterpret_cast<const float*>(data);
  const float* end = p + bytes / (4 * lanes * sizeof(float)) * 4 * lanes;
  auto a = hn::Zero(d), b = a, c = a, e = a;
  for (; p < end; p += 4 * lanes) {
    a = hn::Add(a, hn::Load(d, p));
    b = hn::Add(b, hn::Load(d, p + lanes));
    c = hn::Add(c, hn::Load(d, p + 2 * lanes));
    e = hn::Add(e, hn::Load(d, p + 3 * lanes));
  }
  return hn::GetLane(hn::Add(hn::Add(a, b), hn::Add(c, e)));
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

HWY_EXPORT(readAll);

// What a thread reads before it takes the next part.
constexpr size_t kPart = size_t{1} << 20;
constexpr int kPasses = 9;

}  // namespace

Result<Memory> memoryToRead(ThreadPool& pool, size_t bytes) {
  const auto parts = static_cast<int64_t>(ceilDiv(std::max(bytes, kPart), kPart));
  DCC_ASSIGN(Memory memory, Memory::map(static_cast<size_t>(parts) * kPart));
  // Pages that were never written are all one page of zeros, which caches hold.
  pool.run(parts, [&](int64_t i, uint32_t) {
    std::memset(memory.data() + static_cast<size_t>(i) * kPart, 1, kPart);
  });
  return memory;
}

Result<double> readSeconds(ThreadPool& pool, std::span<const std::byte> memory,
                           Communicator* world) {
  const auto parts = static_cast<int64_t>(ceilDiv(memory.size(), kPart));
  std::atomic<float> keep = 0;
  if (world) DCC_RETURN_IF_ERROR(world->barrier());
  const auto start = std::chrono::steady_clock::now();
  pool.run(parts, [&](int64_t i, uint32_t) {
    const auto part = memory.subspan(static_cast<size_t>(i) * kPart);
    keep.store(HWY_DYNAMIC_DISPATCH(readAll)(part.data(), std::min(part.size(), kPart)),
               std::memory_order_relaxed);
  });
  if (world) DCC_RETURN_IF_ERROR(world->barrier());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Result<double> measureReadBandwidth(ThreadPool& pool, size_t bytes) {
  DCC_ASSIGN(const Memory memory, memoryToRead(pool, bytes));
  const std::span<const std::byte> all(memory.data(), memory.size());
  double best = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass < kPasses; ++pass) {
    DCC_ASSIGN(const double seconds, readSeconds(pool, all, nullptr));
    best = std::min(best, seconds);
  }
  return static_cast<double>(all.size()) / best;
}

}  // namespace dcc::cpu
#endif
