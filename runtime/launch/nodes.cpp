#include "runtime/launch/nodes.h"

#include <cstdlib>

#include "runtime/launch/place.h"

namespace dcc::launch {
namespace {

constexpr uint16_t kDefaultPort = 29500;  // torchrun's too

// A variable's value; null: not set, or empty as where a template had nothing to fill in.
const char* textOf(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? nullptr : text;
}

Result<uint32_t> nodeRank(const NodeOptions& given, uint32_t count) {
  if (given.rank) {
    if (*given.rank < count) return *given.rank;
    return userError("--node-rank " + std::to_string(*given.rank) + ": of " +
                     std::to_string(count) + (count == 1 ? " host" : " hosts") + "; 0 to " +
                     std::to_string(count - 1) + " is right");
  }
  if (count == 1) return 0u;
  std::string names;
  for (const char* name : kNodeRankVariables) {
    if (textOf(name) != nullptr) return numberVariable(name, count - 1);
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return userError("--node-rank: not given, and none of " + names +
                   " is set; on each host another from 0 to " + std::to_string(count - 1) +
                   " is right");
}

}  // namespace

Result<Nodes> resolveNodes(const NodeOptions& given) {
  Nodes nodes;
  nodes.count = given.count.value_or(1);
  DCC_ASSIGN(nodes.rank, nodeRank(given, nodes.count));
  if (nodes.count == 1) return nodes;

  DCC_ASSIGN(const std::optional<Meeting> slurm, slurmMeeting());
  const char* address = textOf(kMasterAddressVariable);
  if (address == nullptr) address = textOf("LWS_LEADER_ADDRESS");
  if (given.address) {
    nodes.address = *given.address;
  } else if (address != nullptr) {
    nodes.address = address;
  } else if (slurm) {
    nodes.address = slurm->host;
  } else {
    return userError(
        "--master-addr: not given, and MASTER_ADDR is not set; the name or address of the host "
        "with "
        "--node-rank 0 is right");
  }

  if (given.port) {
    nodes.port = *given.port;
  } else if (textOf(kMasterPortVariable) != nullptr) {
    // That one is torchrun's, if it has set it.
    DCC_ASSIGN(const uint32_t port, numberVariable(kMasterPortVariable, 65534));
    nodes.port = static_cast<uint16_t>(port + 1);
  } else {
    nodes.port = slurm ? slurm->port : kDefaultPort;
  }
  return nodes;
}

}  // namespace dcc::launch
