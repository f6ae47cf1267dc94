// How fast the threads of all ranks read memory together: the ceiling of a step that reads every
// weight once for few tokens.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/backends/cpu/memory.h"
#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"

namespace dcc::cpu {

// Memory to read where nothing else will do: `bytes` of pages that have been written. Error: there
// is not enough.
Result<Memory> memoryToRead(ThreadPool& pool, size_t bytes);

// All ranks read at the same time, each its `memory` from end to end with its pool; all of a
// machine's together must be far more than its caches hold. Seconds from when all begin to when all
// are done. Collective; a null `world` is this rank alone. Errors: those of the group.
Result<double> readSeconds(ThreadPool& pool, std::span<const std::byte> memory,
                           Communicator* world);

// Bytes per second that one rank reads of memoryToRead(): the best of several passes.
Result<double> measureReadBandwidth(ThreadPool& pool, size_t bytes);

}  // namespace dcc::cpu
