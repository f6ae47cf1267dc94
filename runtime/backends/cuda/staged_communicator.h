// Device collectives by way of host memory and the ranks' own Communicator: slow, but everywhere
// possible, and with its sums bit for bit. A call returns when its result is there, so that none
// can be captured in a graph.
#pragma once

#include <memory>

#include "runtime/backends/cuda/device_communicator.h"

namespace dcc::cuda {

// `host` outlives it. Error (runtime): no page-locked memory.
Result<std::unique_ptr<DeviceCommunicator>> stagedCommunicator(Communicator& host);

}  // namespace dcc::cuda
