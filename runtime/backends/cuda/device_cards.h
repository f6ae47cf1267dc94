// What the ranks of a group tell each other of their devices, and how they agree on what to use.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/collectives/communicator.h"

namespace dcc::cuda {

struct DeviceCard {
  uint64_t host = 0;     // a hash of what tells this machine, as booted, from others
  uint64_t process = 0;  // unlike that of every other process
  int32_t device = 0;    // its number in that process
  int32_t processors = 0;
  uint32_t number = 0;  // the rank's, for errors
  char bus[32] = {};    // PCI bus id, the same in all processes

  bool sameDevice(const DeviceCard& other) const;
};

// Collective: of each rank its current device. `number`: this rank's for errors. Errors (runtime):
// as of any call; the device doesn't answer.
Result<std::vector<DeviceCard>> gatherCards(Communicator& host, uint32_t number);

// Collective: each rank's own finding; "" when all are fine, else what the first rank that is not
// has to say, the same on all ranks. Error (runtime): as of any call.
Result<std::string> agree(Communicator& host, const Status& own);

}  // namespace dcc::cuda
