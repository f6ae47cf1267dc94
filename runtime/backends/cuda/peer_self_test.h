// Whether a group's collectives give what they must: links and drivers differ, and what writes into
// another GPU's memory is tried before it is trusted.
#pragma once

#include <cstddef>

#include "runtime/backends/cuda/device_communicator.h"
#include "runtime/base/status.h"

namespace dcc::cuda {

// Collective: sums, gathers and scatters a few numbers that every rank knows of every other, and
// more than `words` of them, several times. Error (runtime): a result that differs; as of any call.
Status testCollectives(DeviceCommunicator& group, size_t words);

// Collective, after the test: whether allReduceAddNorm() of a token takes less time than
// allReduceSum() and addRmsNorm(), by what all ranks measure together. `overlap`: Launch's. Error
// (runtime): as of any call.
Result<bool> isFusedNormFaster(DeviceCommunicator& group, Communicator& host, bool overlap);

}  // namespace dcc::cuda
