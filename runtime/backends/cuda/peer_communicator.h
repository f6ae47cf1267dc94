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
};

// Shape of launches.
struct PeerShape {
  // Twice the payload of one row of a large model's layer in every block's first exchange, and few
  // enough blocks to run at once on every GPU we compile for.
  uint32_t blocks = 64;
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
