// How ranks that know only where rank 0 is find each other: at an abstract unix socket of this
// host, or over TCP.
//
// Rank 0 listens; every other rank connects, says who it is, and once all have come gets back who
// they all are. These connections stay: what ends one is noticed by its two ends. From there the
// ranks share memory, when all are on one host, or connect to each other.
//
// What they say is in launch/greeting.h.
//
// The secret keeps out who does not know it; it does not hide what is said. Ranks belong on a
// network of their own, as with any of the usual collective libraries.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/launch/contact.h"
#include "runtime/launch/greeting.h"
#include "runtime/launch/lobby.h"
#include "runtime/launch/net.h"
#include "runtime/launch/shared_mapping.h"

namespace dcc::launch {

// This machine as far as abstract sockets and this user's shared memory reach: a hash of boot,
// network namespace and user. Random where these are not to be known.
Hash hostIdentity();

class Rendezvous {
 public:
  // Collective. `listener`: rank 0's, where it has one already. Errors: (runtime) names the ranks
  // that did not come until the deadline, or why rank 0 refused this one (another secret); at once
  // and on all ranks that one has ended meanwhile, or (user) is of another world size or there
  // twice.
  static Result<Rendezvous> meet(const Contact& contact, UniqueFd listener = {});

  // All ranks are on one host and none wants TCP.
  bool sharesMemory() const;
  bool isLocal(uint32_t rank) const { return members_[rank].host == members_[contact_.rank].host; }
  // Ranks on this rank's host, itself included, and those of them before it.
  uint32_t localSize() const;
  uint32_t localRank() const;

  // Collective, where sharesMemory(): memory of all ranks, `bytes` and prepared by `format` on rank
  // 0.
  Result<SharedMapping> share(size_t bytes,
                              const std::function<Status(std::span<std::byte>)>& format);
  // Collective: a connection to each rank, none for itself. Uses up the rendezvous' own.
  Result<std::vector<UniqueFd>> connectAll();

  // Connections to `listener` of those in the meeting `nonce` whose ranks are above `own`, which go
  // into `peers`; others are sent away. Errors (runtime): not all have come until the deadline;
  // Lobby::next's.
  static Status letIn(std::vector<UniqueFd>& peers, uint32_t own, int listener, const Hash& nonce,
                      TimePoint deadline);

  // The connections to rank 0, or of rank 0 to all, by rank.
  const std::vector<UniqueFd>& connections() const { return connections_; }

 private:
  struct Member {
    Hash host;
    Address address = kLoopback;  // where it listens
    uint32_t use_tcp = 0, reserved = 0;
  };

  explicit Rendezvous(const Contact& contact) : contact_(contact) {}
  Status host(UniqueFd listener);
  Status visit();
  Status welcomeAll();
  Status gather(Lobby& lobby, const Hello& own);
  Status lookAround() const;
  Status listenForPeers(Address& own);
  std::string handoverName() const;
  uint32_t localBefore(uint32_t rank) const;  // ranks on this host

  Contact contact_;
  TimePoint deadline_;
  Hash nonce_;  // of this meeting
  std::vector<Member> members_;
  std::vector<UniqueFd> connections_;
  UniqueFd listener_;  // for peers
  UniqueFd handover_;  // rank 0: where the others of this host get the shared memory
};

}  // namespace dcc::launch
