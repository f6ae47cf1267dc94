// Collectives among the ranks of one group. One object per rank and group; no globals, so that
// tests run ranks as threads of one process.
//
// Sums are made in an order that the caller chooses, so the result is bit-identical on all ranks,
// over every transport and from run to run. All ranks must call the same functions in the same
// order with the same sizes; the plan's verifier proves that for the calls of a program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"
#include "runtime/collectives/whereabouts.h"

namespace dcc {

// The error that ended a group. `rank` is whose it is, -1 the launcher's.
struct GroupError {
  int32_t rank = -1;
  Error error;
  bool lost = false;         // the rank is gone without a word: others say so
  std::string details = {};  // lines behind the message, each with its end: where all ranks were

  // With "rank N: " in front, where it is a rank's.
  Error named() const {
    const std::string who = rank < 0 ? "" : "rank " + std::to_string(rank) + ": ";
    return Error{who + error.message, error.fault};
  }
};

// Bytes of payloads that a rank has moved between itself and its peers: sent (over shared memory:
// written for them to read, once for all) and received. Headers and beats don't count.
struct Traffic {
  uint64_t sent = 0, received = 0;

  bool operator==(const Traffic&) const = default;
  Traffic& operator+=(const Traffic& other) {
    sent += other.sent;
    received += other.received;
    return *this;
  }
  Traffic operator-(const Traffic& earlier) const {
    return {sent - earlier.sent, received - earlier.received};
  }
};

enum class SumOrder {
  kRanks,  // ((0 + 1) + 2) + 3 ...
  kTree,   // (0 + 1) + (2 + 3) ...: sumInTree()
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual uint32_t rank() const = 0;
  virtual uint32_t size() const = 0;

  // Every call returns a runtime error when the group was aborted, a peer is gone or the deadline
  // passed; the error names what is known of the peer.

  // out[i] = sum over ranks of in[i]; in == out allowed.
  virtual Status allReduceSum(const float* in, float* out, size_t count, SumOrder order) = 0;
  // Rank r contributes counts[r] bytes; out receives all, in rank order.
  virtual Status allGather(const void* in, void* out, std::span<const size_t> bytes) = 0;
  // Rank r receives elements [sum of counts before r, + counts[r]) of the sum.
  virtual Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                                  SumOrder order) = 0;
  // Rank i sends bytes[i * size() + j] to rank j, nothing to itself; all ranks pass the same bytes.
  // `in`: what goes to rank 0, 1, ..., one after the other; `out`: what comes from them.
  virtual Status allToAll(const void* in, void* out, std::span<const size_t> bytes) = 0;
  // `data` of `root` goes to all.
  virtual Status broadcast(void* data, size_t bytes, uint32_t root) = 0;
  virtual Status barrier() = 0;

  // Of all calls so far.
  virtual Traffic traffic() const = 0;

  // What the ranks of this group must agree on when they come to its next calls, as a checksum: all
  // its calls from now on carry it, at no cost, and where ranks' differ they fail.
  virtual void stamp(uint32_t) {}

  // Where this rank is: it, or whoever works for it, writes that here for the others.
  virtual Whereabouts& whereabouts() { return unseen_; }
  // Where all ranks of the whole group are, by their numbers in it, as far as this rank knows; over
  // TCP of others as they last said. Not while this rank is in a collective.
  virtual std::vector<Sighting> sightings() { return {}; }

  // Collective: parts the group into `groups`, which have each of its ranks once, and gives the one
  // this rank is in; there its number is its place in the list. Errors still name ranks by their
  // numbers here, and what ends this group ends its parts. Once, of a group that is no part itself;
  // the part must not outlive it. Error (runtime): groups that don't fit, and as of any call.
  virtual Result<std::unique_ptr<Communicator>> split(
      std::span<const std::vector<uint32_t>> groups) = 0;

  // A sign of life for ranks that wait for this one while it is busy or idle for long between
  // collectives (reading weights, waiting for a user's input), so that they don't give it up. Not
  // while this rank is in a collective.
  virtual void noteProgress() {}

  // noteProgress() of a rank that waits for something outside of the group, for as long as it
  // likes. Error (runtime): what has ended the group meanwhile.
  virtual Status standBy() {
    noteProgress();
    return Status::success();
  }

  // The last call, of a rank whose work is done: waits a moment for that of the others. A
  // connection that is closed before may take along what is still on its way. Error (runtime): a
  // peer died.
  virtual Status leave() { return Status::success(); }

  // Wakes every rank that waits in this group with an error; the first is kept. Callable from any
  // thread.
  virtual void abort(const Error& why) = 0;
  // What ended the group, as far as this rank knows; nothing while it works.
  virtual std::optional<GroupError> firstError() const = 0;

 private:
  Whereabouts unseen_;  // of a group whose ranks nobody looks at
};

}  // namespace dcc
