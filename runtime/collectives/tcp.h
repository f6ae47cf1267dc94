// Collectives over TCP, for ranks that share no memory. Small payloads go from every rank to every
// other in one exchange; larger sums are made by shares, each rank summing one and sending it to
// all. Either way sums are made in rank order, by the same function as over shared memory: the bits
// are the same.
#pragma once

#include <memory>
#include <vector>

#include "runtime/base/unique_fd.h"
#include "runtime/collectives/call.h"
#include "runtime/collectives/communicator.h"

namespace dcc {

// Rank `rank` of a group of peers.size(): peers[r] is a connected stream socket to rank r, none for
// the rank itself. Calls come from one thread, but for abort(). `whereabouts`: the rank's, where
// somebody else reads them too; they outlive the communicator.
std::unique_ptr<Communicator> tcpCommunicator(std::vector<UniqueFd> peers, uint32_t rank,
                                              const WaitOptions& options = {},
                                              Whereabouts* whereabouts = nullptr);

}  // namespace dcc
