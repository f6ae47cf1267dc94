// How fast the threads of all ranks read memory together: the ceiling of a step that reads every
// weight once for few tokens.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"

namespace dcc::cpu {

// Bytes per second that all ranks read at the same time, each its `memory` from end to end with its
// pool; the best of several passes, so that all of a machine's must be far more than its caches
// hold. Where that memory lies may decide: a program's own tells most. Collective; a null `world`
// is this rank alone. Errors: those of the group.
Result<double> measureReadBandwidth(ThreadPool& pool, std::span<const std::byte> memory,
                                    Communicator* world);
// The same of `bytes` made for it. Errors: also no memory.
Result<double> measureReadBandwidth(ThreadPool& pool, size_t bytes, Communicator* world);

}  // namespace dcc::cpu
