// Several hosts with a launcher of ours on each: which of them this one is, and where rank 0 is
// met.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/status.h"

namespace dcc::launch {

// What the command line says.
struct NodeOptions {
  std::optional<uint32_t> count;       // --nnodes
  std::optional<uint32_t> rank;        // --node-rank
  std::optional<std::string> address;  // --master-addr
  std::optional<uint16_t> port;        // --master-port
};

struct Nodes {
  uint32_t count = 1, rank = 0;
  std::string address;  // where rank 0 is, and listens; "" of one host
  uint16_t port = 0;
};

// Variables that number the hosts of a job, in order of precedence: of Slurm, torchrun, a
// LeaderWorkerSet and a Job with completion index.
inline constexpr const char* kNodeRankVariables[] = {"SLURM_NODEID", "GROUP_RANK",
                                                     "LWS_WORKER_INDEX", "JOB_COMPLETION_INDEX"};

// Fills in from the environment what is not given of several hosts: the rank from
// kNodeRankVariables; the address from MASTER_ADDR, LWS_LEADER_ADDRESS or Slurm's list of hosts;
// the port after MASTER_PORT, Slurm's job number's or 29500. Errors (user): no rank or no address;
// a rank that is not below the count; a damaged variable.
Result<Nodes> resolveNodes(const NodeOptions& given);

}  // namespace dcc::launch
