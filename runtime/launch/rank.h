// A rank's side of the launch: who am I, where are the others, and how I end.
//
// Ranks are started by our own launcher, one on each host, which also watches its own, or by
// somebody else's (torchrun), and watch each other where not all are of one launcher of ours.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/collectives/communicator.h"
#include "runtime/collectives/region.h"
#include "runtime/launch/contact.h"
#include "runtime/launch/place.h"
#include "runtime/launch/rendezvous.h"
#include "runtime/launch/shared_mapping.h"
#include "runtime/launch/watch.h"

namespace dcc::launch {

class Rank {
 public:
  // Null when our launcher did not start this process. Errors: its variables are damaged.
  static Result<std::unique_ptr<Rank>> launched();
  // Started by somebody else as `place`.
  static std::unique_ptr<Rank> joining(const Place& place);

  uint32_t rank() const { return place_.rank; }
  uint32_t worldSize() const { return place_.world_size; }

  // Collective: finds the others. Once, before the functions below. Errors: Rendezvous::meet's;
  // (user) shared memory is asked for among several hosts.
  Status meet(const MeetOptions& options);
  // Which of the ranks on this host: what whoever started it says, else by the ranks' numbers.
  uint32_t localRank() const;
  // Ranks on this host.
  uint32_t localSize() const { return meeting_ ? meeting_->localSize() : place_.local_size; }

  bool onOneHost() const { return localSize() == worldSize(); }
  bool overTcp() const { return over_tcp_; }

  // Collective: makes the group of all ranks. Once.
  Status connect(const WaitOptions& options);
  // After connect().
  Communicator& world() const { return *world_; }
  // What messages about where ranks were are made with, once there is a plan.
  void describeBy(DescribeInstruction describe) { describe_ = std::move(describe); }

  // The last thing a rank does: tells the others, and the launcher or the user, how it went;
  // returns the exit status.
  int end(Status status);

 private:
  // What our launcher shares with each of its ranks, which have their local ranks' numbers in it.
  struct Launcher {
    SharedMapping memory;
    Region region;
  };

  explicit Rank(const Place& place) : place_(place) {}
  GroupError firstError(const Error& own) const;
  std::vector<Sighting> sightings() const;
  void awaitLauncher(const GroupError& lost) const;
  bool speaksOf(const GroupError& error) const;

  Place place_;
  std::optional<Launcher> launcher_;  // none: somebody else's
  std::optional<Rendezvous> meeting_;
  bool over_tcp_ = false;
  // Memory of the group, where its ranks are on one host and made it themselves.
  std::optional<SharedMapping> mapping_;
  std::optional<Region> region_;
  std::unique_ptr<Communicator> world_;
  std::unique_ptr<Watch> watch_;
  DescribeInstruction describe_;
};

}  // namespace dcc::launch
