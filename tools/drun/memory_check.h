// Whether the ranks of a host fit in its memory, before any of it is taken: what their plans need
// (footprint/memory.h) against what the host has left.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/collectives/communicator.h"
#include "runtime/footprint/memory.h"

namespace dcc::drun {

// Set, and not to "" or "0", ranks start although they may not fit.
inline constexpr char kOvercommitVariable[] = "DRUN_OVERCOMMIT";

// One rank's card. Bytes.
struct MemoryNeed {
  Hash host;
  uint64_t weights = 0, cache = 0, other = 0;
  uint64_t shared = 0;     // with the other ranks of the host: counted once
  uint64_t available = 0;  // on the host, as this rank saw it
};
MemoryNeed needOf(const footprint::Memory& memory, TransportKind transport, const Hash& host,
                  uint64_t available);

// The first host whose ranks need more than it has: its first rank, and what to say. Nothing where
// all fit.
struct Shortage {
  uint32_t rank;
  std::string message;
};
std::optional<Shortage> findShortage(std::span<const MemoryNeed> ranks);

// Collective, once the ranks have agreed on a plan. `pages`: of each page group that will be in use
// at once, as rank 0 knows it. Error (runtime) of the first rank of the first host where memory
// does not suffice; the others hear of it.
Status checkMemory(const plan::Plan& plan, const footprint::Running& running,
                   std::vector<uint64_t> pages, Communicator& world);

}  // namespace dcc::drun
