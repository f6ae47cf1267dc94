// How fast the threads of all ranks read memory together: the ceiling of a step that reads every
// weight once for few tokens.
#pragma once

#include <cstddef>

#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"

namespace dcc::cpu {

// Bytes per second that all ranks read at the same time, each `bytes` from end to end with its
// pool; the best of several passes, so that `bytes` times the ranks of a machine must be far more
// than its caches hold. Collective; a null `world` is this rank alone. Errors: no memory, those of
// the group.
Result<double> measureReadBandwidth(ThreadPool& pool, size_t bytes, Communicator* world);

}  // namespace dcc::cpu
