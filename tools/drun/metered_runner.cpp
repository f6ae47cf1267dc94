#include "tools/drun/metered_runner.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "runtime/backends/cpu/bandwidth.h"
#include "runtime/launch/machine.h"

namespace dcc::drun {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// Decode steps from one reading to the next: memory keeps its speed for longer, and the steps stay
// most of the time.
constexpr uint64_t kBetween = 8;

// What a rank must read: with the others far more than the caches hold, but no more than is easily
// there.
size_t bytesToRead(uint32_t local_ranks) {
  const uint64_t caches = launch::lastLevelCacheBytes().value_or(64 * kMiB);
  const launch::MemoryInfo memory = launch::memoryInfo();
  uint64_t room = memory.available.value_or(UINT64_MAX);
  room = std::min(room, memory.limit.value_or(UINT64_MAX)) / 4;
  const uint64_t all = std::min(std::clamp(8 * caches, 256 * kMiB, 4096 * kMiB), room);
  return static_cast<size_t>(std::max(all / local_ranks, 16 * kMiB));
}

}  // namespace

Result<std::unique_ptr<MeteredRunner>> MeteredRunner::create(generate::StepRunner& inner,
                                                             std::span<const std::byte> weights,
                                                             uint32_t threads, uint32_t local_ranks,
                                                             Communicator& world,
                                                             Reading& reading) {
  std::unique_ptr<MeteredRunner> made(new MeteredRunner(inner, threads, world, reading));
  const size_t needed = bytesToRead(local_ranks);
  made->memory_ = weights;
  if (weights.size() < needed) {
    DCC_ASSIGN(made->own_, cpu::memoryToRead(made->pool_, needed));
    made->memory_ = {made->own_.data(), made->own_.size()};
  }
  const uint64_t own = made->memory_.size();
  std::vector<uint64_t> all(world.size());
  const std::vector<size_t> sizes(all.size(), sizeof(own));
  DCC_RETURN_IF_ERROR(world.allGather(&own, all.data(), sizes));
  made->all_bytes_ = std::accumulate(all.begin(), all.end(), 0.0);
  return made;
}

Status MeteredRunner::run(const Step& step) {
  if (step.T() != step.B()) {
    decode_steps_ = 0;
  } else if (decode_steps_++ % kBetween == 0) {
    DCC_ASSIGN(const double seconds, cpu::readSeconds(pool_, memory_, &world_));
    reading_.bytes += all_bytes_;
    reading_.seconds += seconds;
  }
  return RunnerAround::run(step);
}

}  // namespace dcc::drun
