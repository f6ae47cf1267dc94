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
#include "runtime/collectives/whereabouts.h"

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
  // When one rank has done its work the others have so long to be done too.
  std::chrono::milliseconds timeout{30'000};
  // What ranks write to standard error goes into files of this directory too (launch/rank_logs.h);
  // "": only to ours.
  std::string log_dir;
  // For messages about where ranks were. Asked only when something has gone wrong.
  DescribeInstruction describe;
};

struct Launched {
  // Errors: the first error of a rank, prefixed with "rank N: " unless the user is at fault; the
  // signal that killed it, and where it was; a signal sent to us (SIGINT, SIGTERM, SIGHUP), which
  // ends the ranks.
  Status status;
  int signal = 0;        // sent to us, if that is the error
  bool started = false;  // ranks were; those of other hosts hear from them
  // Lines behind the error: where all ranks were, if one was waited for in vain.
  std::string details = {};
  // What ranks wrote since the first error, of what goes through log_dir.
  std::string written = {};
};

// Returns when no rank is left. Rank 0 has our standard input and output; the others read nothing
// and write to standard error only. To be called from the first thread of the process, while it has
// no other: ranks die with the thread that made them.
Launched launch(const LaunchOptions& options);

}  // namespace dcc::launch
