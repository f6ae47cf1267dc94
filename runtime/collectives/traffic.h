// What a collective moves and holds on a rank, from its sizes alone: what transports count while
// they run (Communicator::traffic).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/collectives/communicator.h"
#include "runtime/collectives/region.h"

namespace dcc {

enum class TransportKind : uint8_t { kSharedMemory, kTcp };

struct GroupShape {
  TransportKind transport = TransportKind::kSharedMemory;
  uint32_t rank = 0, ranks = 1;
  size_t slot_bytes = Region::kDefaultSlotBytes;  // of shared memory
};

// One call of `rank`; arguments as the Communicator's.
Traffic allReduceTraffic(const GroupShape& group, size_t count);
Traffic allGatherTraffic(const GroupShape& group, std::span<const size_t> bytes);
Traffic reduceScatterTraffic(const GroupShape& group, std::span<const size_t> counts);
Traffic allToAllTraffic(const GroupShape& group, std::span<const size_t> bytes);

// Bytes of memory that a rank's communicator holds, beside what its calls need: the region that it
// shares with the others, or its ends of the connections.
size_t communicatorBytes(const GroupShape& group);
// What TCP keeps once it has made a call: bytes for each peer's contribution, and for its own.
struct TcpScratch {
  size_t each_peer = 0, own = 0;
};
TcpScratch allReduceScratch(const GroupShape& group, size_t count, bool in_place);
TcpScratch reduceScatterScratch(const GroupShape& group, std::span<const size_t> counts);

}  // namespace dcc
