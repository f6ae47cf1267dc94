#include <algorithm>
#include <vector>

#include "runtime/backends/cpu/bandwidth.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/generate/limits.h"
#include "runtime/launch/machine.h"
#include "runtime/plan/access.h"
#include "runtime/plan/traffic.h"
#include "tools/drun/bench.h"

namespace dcc::drun {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// What a rank reads to measure its memory: with the others far more than the caches hold, but no
// more than is easily there.
size_t measuredBytes(uint32_t local_ranks) {
  const uint64_t caches = launch::lastLevelCacheBytes().value_or(64 * kMiB);
  const launch::MemoryInfo memory = launch::memoryInfo();
  uint64_t room = memory.available.value_or(UINT64_MAX);
  room = std::min(room, memory.limit.value_or(UINT64_MAX)) / 4;
  const uint64_t all = std::min(std::clamp(8 * caches, 256 * kMiB, 4096 * kMiB), room);
  return static_cast<size_t>(std::max(all / local_ranks, 16 * kMiB));
}

// The entry that continues sequences.
Result<uint32_t> decodeEntry(const plan::Plan& plan) {
  const generate::Limits limits = generate::limitsOf(plan);
  return static_cast<uint32_t>(limits.decode.index >= 0 ? limits.decode.index
                                                        : limits.prefill.index);
}

}  // namespace

Result<BenchFacts> benchFacts(const plan::Plan& plan, uint32_t threads, Communicator& world) {
  BenchFacts facts;
  facts.model = plan::text(plan->model());
  facts.cpu = launch::cpuModel();
  facts.kernels = cpuKernels();
  facts.ranks = world.size();
  facts.threads = threads;
  facts.vocabulary = plan->vocab_size();

  DCC_ASSIGN(const uint32_t entry, decodeEntry(plan));
  const plan::WeightTraffic own = plan::weightTraffic(*plan, entry);
  std::vector<plan::WeightTraffic> all(world.size());
  const std::vector<size_t> sizes(all.size(), sizeof(own));
  DCC_RETURN_IF_ERROR(world.allGather(&own, all.data(), sizes));
  facts.traffic.dtype = own.dtype;
  for (const plan::WeightTraffic& traffic : all) {
    facts.traffic.whole += traffic.whole;
    facts.traffic.tables += traffic.tables;
    facts.traffic.experts += traffic.experts;
    facts.traffic.experts_of_token += traffic.experts_of_token;
  }
  return facts;
}

Result<double> weightBandwidth(std::span<const std::byte> weights, uint32_t threads,
                               uint32_t local_ranks, Communicator& world) {
  cpu::ThreadPool pool(threads);
  // All ranks measure the same way.
  const size_t needed = measuredBytes(local_ranks);
  const uint64_t own = weights.size() >= needed ? 1 : 0;
  std::vector<uint64_t> all(world.size());
  const std::vector<size_t> sizes(all.size(), sizeof(own));
  DCC_RETURN_IF_ERROR(world.allGather(&own, all.data(), sizes));
  const bool enough = std::all_of(all.begin(), all.end(), [](uint64_t each) { return each == 1; });
  return enough ? cpu::measureReadBandwidth(pool, weights, &world)
                : cpu::measureReadBandwidth(pool, needed, &world);
}

}  // namespace dcc::drun
