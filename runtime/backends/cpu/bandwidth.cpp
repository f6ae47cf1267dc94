#include "runtime/backends/cpu/bandwidth.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <vector>

#include "runtime/backends/cpu/memory.h"
#include "runtime/base/checked.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/backends/cpu/bandwidth.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Reads `bytes`, a multiple of kPart; the result only keeps the loads.
float readAll(const std::byte* data, size_t bytes) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float* p = reinterpret_cast<const float*>(data);
  const float* end = p + bytes / sizeof(float);
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

Result<double> measureReadBandwidth(ThreadPool& pool, std::span<const std::byte> memory,
                                    Communicator* world) {
  const auto parts = static_cast<int64_t>(memory.size() / kPart);
  std::vector<uint64_t> all(world ? world->size() : 1, parts * kPart);
  if (world) {
    const uint64_t own = all[0];
    const std::vector<size_t> sizes(all.size(), sizeof(own));
    DCC_RETURN_IF_ERROR(world->allGather(&own, all.data(), sizes));
  }
  uint64_t total = 0;
  for (const uint64_t each : all) total += each;

  std::atomic<float> keep = 0;
  double seconds = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass < kPasses; ++pass) {
    // From when all begin to when all are done.
    if (world) DCC_RETURN_IF_ERROR(world->barrier());
    const auto start = std::chrono::steady_clock::now();
    pool.run(parts, [&](int64_t i, uint32_t) {
      const std::byte* part = memory.data() + static_cast<size_t>(i) * kPart;
      keep.store(HWY_DYNAMIC_DISPATCH(readAll)(part, kPart), std::memory_order_relaxed);
    });
    if (world) DCC_RETURN_IF_ERROR(world->barrier());
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    seconds = std::min(seconds, taken.count());
  }
  return static_cast<double>(total) / seconds;
}

Result<double> measureReadBandwidth(ThreadPool& pool, size_t bytes, Communicator* world) {
  const auto parts = static_cast<int64_t>(ceilDiv(std::max(bytes, kPart), kPart));
  DCC_ASSIGN(const Memory memory, Memory::map(static_cast<size_t>(parts) * kPart));
  // Pages that were never written are all one page of zeros, which caches hold.
  pool.run(parts, [&](int64_t i, uint32_t) {
    std::memset(memory.data() + static_cast<size_t>(i) * kPart, 1, kPart);
  });
  return measureReadBandwidth(pool, std::span<const std::byte>(memory.data(), memory.size()),
                              world);
}

}  // namespace dcc::cpu
#endif
