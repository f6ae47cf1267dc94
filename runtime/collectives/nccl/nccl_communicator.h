// Device collectives by NCCL: one communicator of NCCL's per group, made without blocking so that
// every wait has its deadline.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/backends/cuda/device_cards.h"
#include "runtime/backends/cuda/device_communicator.h"

namespace dcc::nccl {

// What came of an attempt, the same on all ranks: either a communicator or why there is none.
struct Attempt {
  std::unique_ptr<cuda::DeviceCommunicator> communicator;
  std::string refused;
};

// Collective; `cards` are those of the ranks of `host`, which outlives the result. Errors
// (runtime): what ends the group.
Result<Attempt> ncclCommunicator(Communicator& host, std::span<const cuda::DeviceCard> cards,
                                 const cuda::DeviceGroupOptions& options);

}  // namespace dcc::nccl
