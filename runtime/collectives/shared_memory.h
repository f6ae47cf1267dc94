// Collectives over shared memory: every rank copies its payload into its slot, a barrier, and each
// reads what it needs from the others' slots. Slots alternate between two places, so one barrier
// per exchange is enough: who writes a place again has passed the barrier that its last readers
// reached after reading. Payloads larger than a slot go in chunks.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "runtime/collectives/barrier.h"
#include "runtime/collectives/communicator.h"

namespace dcc {

// Rank `rank` of a group of `size` in `memory`, which Region::format has laid out for the group; a
// group is any set of ranks with a region of its own. One communicator per rank and region; the
// memory outlives it. Errors: the region is not valid or not of `size` ranks.
Result<std::unique_ptr<Communicator>> sharedMemoryCommunicator(std::span<std::byte> memory,
                                                               uint32_t rank, uint32_t size,
                                                               const WaitOptions& options = {});

}  // namespace dcc
