// Device collectives by kernels that write into each other's GPU's memory (peers.h), opened over
// CUDA IPC, or directly between ranks of one process.
#pragma once

#include <memory>
#include <string>

#include "runtime/backends/cuda/device_cards.h"
#include "runtime/backends/cuda/device_communicator.h"

namespace dcc::cuda {

// What came of an attempt, the same on all ranks: either a communicator or why there is none.
struct PeerAttempt {
  std::unique_ptr<DeviceCommunicator> communicator;
  std::string refused;
  bool expected = false;  // such ranks never are peers
};

// The largest launches, within what the devices run at once: half a MiB in one exchange, in 2 MiB
// of device memory for each pair of ranks.
struct PeerShape {
  uint32_t blocks = 128;
  uint32_t threads = 256;
};

// Collective; `cards` are those of the ranks of `host`, which outlives the result. Has summed and
// gathered numbers known beforehand when it returns a communicator. `large`, if not null, is given
// payloads that it carries faster; it comes back in `large` when peers are refused. Errors
// (runtime): what ends the group.
Result<PeerAttempt> peerCommunicator(Communicator& host, std::span<const DeviceCard> cards,
                                     const DeviceGroupOptions& options,
                                     std::unique_ptr<DeviceCommunicator>& large,
                                     const PeerShape& shape = {});

}  // namespace dcc::cuda
