#include "tools/drun/memory_check.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "runtime/launch/machine.h"
#include "runtime/launch/rendezvous.h"
#include "tools/drun/agreement.h"
#include "tools/drun/findings.h"

namespace dcc::drun {
namespace {

// What may be taken without harm to others; where nothing is known, all there could be.
uint64_t availableBytes() {
  const launch::MemoryInfo memory = launch::memoryInfo();
  return std::min(memory.available.value_or(UINT64_MAX), memory.room.value_or(UINT64_MAX));
}

bool mayOvercommit() {
  const char* text = std::getenv(kOvercommitVariable);
  const std::string_view value = text != nullptr ? text : "";
  return !value.empty() && value != "0";
}

}  // namespace

MemoryNeed needOf(const footprint::Memory& memory, TransportKind transport, const Hash& host,
                  uint64_t available) {
  MemoryNeed need;
  need.host = host;
  need.weights = memory.weights;
  need.cache = memory.cache;
  need.shared = transport == TransportKind::kSharedMemory ? memory.communication : 0;
  need.other = memory.total() - memory.weights - memory.cache - need.shared;
  need.available = available;
  return need;
}

std::optional<Shortage> findShortage(std::span<const MemoryNeed> ranks) {
  for (uint32_t first = 0; first < ranks.size(); ++first) {
    const auto ofHost = [&](const MemoryNeed& need) { return need.host == ranks[first].host; };
    if (std::any_of(ranks.begin(), ranks.begin() + first, ofHost)) continue;
    uint64_t weights = 0, cache = 0, other = 0, shared = 0, available = UINT64_MAX, count = 0;
    for (const MemoryNeed& need : ranks) {
      if (!ofHost(need)) continue;
      weights += need.weights;
      cache += need.cache;
      other += need.other;
      shared = std::max(shared, need.shared);
      available = std::min(available, need.available);
      ++count;
    }
    other += shared;
    const uint64_t all = weights + cache + other;
    if (all <= available) continue;
    return Shortage{
        first,
        "memory: the " +
            (count == 1 ? "rank of this host needs "
                        : std::to_string(count) + " ranks of this host need ") +
            bytesText(all) + " (weights " + bytesText(weights) + ", KV cache " + bytesText(cache) +
            ", other " + bytesText(other) + "), of which " + bytesText(available) +
            " are available; fewer or shorter sequences need less KV cache, a plan with a smaller "
            "--max-tokens, with --dtype bf16, or with a larger --tp for ranks on more hosts less "
            "of the rest; " +
            kOvercommitVariable + "=1 starts all the same"};
  }
  return std::nullopt;
}

Status checkMemory(const plan::Plan& plan, const footprint::Running& running,
                   std::vector<uint64_t> pages, Communicator& world) {
  DCC_RETURN_IF_ERROR(world.broadcast(pages.data(), pages.size() * sizeof(uint64_t), 0));
  footprint::Memory memory = footprint::memoryOf(plan, running);
  memory.cache = 0;
  for (size_t g = 0; g < pages.size(); ++g) {
    memory.cache += pages[g] * plan->page_groups()->Get(g)->bytes_per_page();
  }
  const MemoryNeed own =
      needOf(memory, running.transport, launch::hostIdentity(), availableBytes());
  std::vector<MemoryNeed> ranks(world.size());
  DCC_RETURN_IF_ERROR(
      world.allGather(&own, ranks.data(), std::vector<size_t>(world.size(), sizeof(MemoryNeed))));
  const std::optional<Shortage> shortage = findShortage(ranks);
  if (!shortage || mayOvercommit()) return Status::success();
  return sayOnce(shortage->rank, runtimeError(shortage->message), world);
}

}  // namespace dcc::drun
