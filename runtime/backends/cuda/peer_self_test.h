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

}  // namespace dcc::cuda
