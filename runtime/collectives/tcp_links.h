// The connections of a rank to all others, which the groups that it is in share: moves frames with
// deadlines, says where this rank is and hears where others are, and keeps how it all ended.
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "runtime/collectives/tcp_link.h"

namespace dcc {

// Calls come from one thread, but for abort() and firstError().
class TcpLinks {
 public:
  // peers[r] is a connection to rank r, none for ourselves. `whereabouts`: where this rank says
  // where it is; null: in the object.
  TcpLinks(std::vector<UniqueFd> peers, uint32_t rank, const WaitOptions& options,
           Whereabouts* whereabouts);
  ~TcpLinks();
  TcpLinks(const TcpLinks&) = delete;

  // Moves what was given to `links`, some of ours. Errors (runtime): what ended the group; no sign
  // of a peer until the deadline.
  Status exchange(const CallTag& tag, std::span<TcpLink* const> links);
  // As the functions of that name of a Communicator.
  Status leave();
  void noteProgress();
  Status standBy();
  void abort(const Error& why);
  std::optional<GroupError> firstError() const;

  uint32_t rank() const { return rank_; }
  std::vector<TcpLink>& all() { return links_; }
  Whereabouts& whereabouts() { return *here_; }
  std::vector<Sighting> sightings();

 private:
  // False when nothing has moved for `patience`.
  Result<bool> moveAll(std::span<TcpLink* const> links, std::chrono::milliseconds patience);
  void sleep(std::span<TcpLink* const> links);
  Status overdue(const CallTag& tag, std::span<TcpLink* const> links);
  GroupError causeOf(uint32_t lost_peer);
  Error fail(const GroupError& why);
  Error ended();
  void announce();
  void beatAll(bool alive);
  void beatWhileBusy();

  uint32_t rank_;
  WaitOptions options_;
  Whereabouts own_;
  Whereabouts* here_;
  std::vector<TcpLink> links_;
  std::vector<bool> missed_;  // by rank
  std::vector<pollfd> polled_;
  UniqueFd wake_;
  std::chrono::steady_clock::time_point last_beat_{}, last_exchange_{};

  std::mutex io_;  // who uses the links
  mutable std::mutex failing_;
  std::optional<GroupError> failure_;
  std::atomic<bool> failed_ = false;
  bool aborted_ = false;    // with failure_, which may be told; under failing_
  bool announced_ = false;  // under io_

  std::mutex resting_;
  std::condition_variable stopping_;
  bool stopped_ = false;  // under resting_
  std::thread heartbeat_;
};

}  // namespace dcc
