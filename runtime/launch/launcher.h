// Runs a program as ranks on this machine: direct children of this process, which is none. Of
// several hosts each has a launcher of its own; their ranks meet over TCP.
//
// Whatever ends a rank ends all of them, and the first cause is what launch() returns. The ranks
// die with the launcher, however it dies.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "runtime/base/status.h"

namespace dcc::launch {

struct LaunchOptions {
  uint32_t ranks = 1;  // on this host
  // Of several hosts: the number of the first rank here, how many there are on all of them, and
  // where rank 0 listens. Without an address the ranks here are all of them.
  uint32_t first_rank = 0;
  uint32_t world_size = 0;
  std::string master_address;
  uint16_t master_port = 0;
  // The ranks' arguments, argv[0] included; they run this process's own executable.
  char** argv = nullptr;
  // After the first failure ranks may end by themselves for `grace`, then get SIGTERM, and after as
  // long again SIGKILL.
  std::chrono::milliseconds grace{600};
};

// Returns when no rank is left. Rank 0 has our standard input and output; the others read nothing
// and write to standard error only. Errors: the first error of a rank, prefixed with "rank N: "
// unless the user is at fault; the signal that killed it; a signal sent to us (SIGINT, SIGTERM,
// SIGHUP), which ends the ranks. To be called while the process has one thread.
Status launch(const LaunchOptions& options);

}  // namespace dcc::launch
