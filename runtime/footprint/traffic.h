// What the collectives of a plan move, from the plan alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan_generated.h"
#include "runtime/collectives/traffic.h"

namespace dcc::footprint {

// Values of Plan.sizes for a step of `tokens` of `seqs` sequences, both within an entry's bounds.
std::vector<int64_t> sizesAt(const plan::fb::Plan& plan, int64_t tokens, int64_t seqs);

// One collective on this rank.
struct Moved {
  uint64_t payload = 0;  // bytes of what the rank puts in
  Traffic traffic;       // and of what it exchanges with its peers for that
  TcpScratch scratch;    // what the transport keeps afterwards
  bool at_most = false;  // the traffic depends on which experts tokens are for
};
// Of a verified plan's entry; `sizes` are the step's.
Moved movedBy(const plan::fb::Plan& plan, const plan::fb::Entry& entry,
              const plan::fb::Collective& collective, std::span<const int64_t> sizes,
              TransportKind transport);

}  // namespace dcc::footprint
