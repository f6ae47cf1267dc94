#include "runtime/backends/cuda/device_communicator.h"

#include <cstdio>
#include <string>
#include <utility>

#include "runtime/backends/cuda/device_cards.h"
#include "runtime/backends/cuda/peer_communicator.h"
#include "runtime/backends/cuda/staged_communicator.h"
#include "runtime/collectives/nccl/nccl_communicator.h"

namespace dcc::cuda {
namespace {

// One line for all ranks.
void note(const Communicator& host, const std::string& what, std::string_view instead) {
  if (host.rank() != 0) return;
  std::fprintf(stderr, "note: %s: collectives go through %s\n", what.c_str(),
               std::string(instead).c_str());
}

}  // namespace

Result<std::unique_ptr<DeviceCommunicator>> deviceCommunicator(Communicator& host,
                                                               const DeviceGroupOptions& options) {
  if (options.transport == DeviceTransport::kHost) return stagedCommunicator(host);
  DCC_ASSIGN(const std::vector<DeviceCard> cards,
             gatherCards(host, options.number.value_or(host.rank())));
  DCC_ASSIGN(nccl::Attempt nccl, nccl::ncclCommunicator(host, cards, options));
  if (nccl.communicator == nullptr && options.transport == DeviceTransport::kNccl) {
    return userError(nccl.refused);
  }
  DCC_ASSIGN(PeerAttempt peers, peerCommunicator(host, cards, options, nccl.communicator));
  std::unique_ptr<DeviceCommunicator> best;
  if (peers.communicator != nullptr) {
    best = std::move(peers.communicator);
  } else if (nccl.communicator != nullptr) {
    best = std::move(nccl.communicator);
    if (!peers.expected) note(host, peers.refused, best->name());
  } else {
    DCC_ASSIGN(best, stagedCommunicator(host));
    note(host, peers.refused, best->name());
  }
  if (!nccl.refused.empty()) note(host, nccl.refused, best->name());
  return best;
}

}  // namespace dcc::cuda
