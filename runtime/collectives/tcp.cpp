#include "runtime/collectives/tcp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <numeric>
#include <thread>

#include "runtime/collectives/parts.h"
#include "runtime/collectives/shares.h"
#include "runtime/collectives/sum.h"
#include "runtime/collectives/tcp_link.h"

namespace dcc {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// Looks at the sockets before sleeping in poll(): about 50 us, several times a ping on one host.
constexpr int kSpins = 100;
constexpr milliseconds kSlice{50};
constexpr milliseconds kBeatEvery{100};
constexpr milliseconds kHeartbeat{1000};
// Where a connection ends without a word, another peer may know why.
constexpr milliseconds kGrace{200};
// So long a rank that is done waits for others, for which it may still have something on its way.
constexpr milliseconds kLeave{1000};
// So long nothing that was sent is acknowledged by the peer's host, or longer where the deadline
// is.
constexpr milliseconds kLost{60'000};

// A rank's connections, and how the group of them all has ended.
class Links {
 public:
  Links(std::vector<UniqueFd> peers, uint32_t rank, const WaitOptions& options,
        Whereabouts* whereabouts);
  ~Links();
  Links(const Links&) = delete;

  // Moves what was given to `links`, some of ours.
  Status exchange(const CallTag& tag, std::span<TcpLink* const> links);
  Status leave();
  void noteProgress();
  void abort(const Error& why);
  std::optional<GroupError> firstError() const;

  uint32_t rank() const { return rank_; }
  std::vector<TcpLink>& all() { return links_; }
  Whereabouts& whereabouts() { return *here_; }
  std::vector<Sighting> sightings();

 private:
  // False when nothing has moved for `patience`.
  Result<bool> moveAll(std::span<TcpLink* const> links, milliseconds patience);
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
  steady_clock::time_point last_beat_{};

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

// The group of all ranks, or a part of it. Between two ranks calls of both follow each other in one
// order, so that they share a connection.
class Tcp final : public Communicator {
 public:
  // `ranks`: of the group, by their numbers among all.
  Tcp(std::shared_ptr<Links> links, const std::vector<uint32_t>& ranks);

  uint32_t rank() const override { return rank_; }
  uint32_t size() const override { return static_cast<uint32_t>(scratch_.size()); }

  Status allReduceSum(const float* in, float* out, size_t count, SumOrder order) override;
  Status allGather(const void* in, void* out, std::span<const size_t> bytes) override;
  Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                          SumOrder order) override;
  Status allToAll(const void* in, void* out, std::span<const size_t> bytes) override;
  Status broadcast(void* data, size_t bytes, uint32_t root) override;
  Status barrier() override {
    countCall();
    return exchangeNothing(tagOf(Call::kBarrier, 0));
  }
  Result<std::unique_ptr<Communicator>> split(
      std::span<const std::vector<uint32_t>> groups) override;
  void noteProgress() override { links_->noteProgress(); }
  Status leave() override { return links_->leave(); }
  void abort(const Error& why) override { links_->abort(why); }
  std::optional<GroupError> firstError() const override { return links_->firstError(); }
  Traffic traffic() const override { return traffic_; }
  void stamp(uint32_t stamp) override { stamp_ = stamp; }
  Whereabouts& whereabouts() override { return links_->whereabouts(); }
  std::vector<Sighting> sightings() override { return links_->sightings(); }

 private:
  struct Peer {
    TcpLink* link;
    uint32_t rank;  // in the group
  };

  void countCall() { whereabouts().countCall(); }
  CallTag tagOf(Call call, uint64_t total, uint32_t root = 0) const {
    return {static_cast<uint16_t>(call), static_cast<uint16_t>(root), stamp_, total};
  }
  // Only headers, to and from all.
  Status exchangeNothing(const CallTag& tag);
  // Moves what was given to the peers' links.
  Status exchange(const CallTag& tag);

  // Rank r's contribution to a sum, of `count` elements.
  float* scratch(uint32_t r, size_t count);
  // out = the sum of `own` and what has come into the others' scratch.
  void sumAll(const float* own, float* out, size_t count, SumOrder order);
  Status reduceWhole(const CallTag& tag, const float* in, float* out, size_t count, SumOrder order);
  Status reduceByShares(const CallTag& tag, const float* in, float* out, size_t count,
                        SumOrder order);

  std::shared_ptr<Links> links_;
  uint32_t rank_ = 0;
  std::vector<Peer> peers_;
  std::vector<TcpLink*> used_;               // the peers'
  std::vector<std::vector<float>> scratch_;  // per rank
  std::vector<const float*> parts_;
  Traffic traffic_;
  uint32_t stamp_ = 0;
};

// A peer whose host is lost is noticed though nothing is sent for hours, and whatever is on the way
// does not forget the connection.
void keepAlive(int fd, milliseconds deadline) {
  const int one = 1;
  const int every = 30;  // seconds
  const auto limit = static_cast<unsigned>(std::max<milliseconds>(deadline, kLost).count());
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &every, sizeof(every));
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit));
}

Links::Links(std::vector<UniqueFd> peers, uint32_t rank, const WaitOptions& options,
             Whereabouts* whereabouts)
    : rank_(rank),
      options_(options),
      here_(whereabouts != nullptr ? whereabouts : &own_),
      missed_(peers.size()),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  links_.reserve(peers.size());
  for (uint32_t r = 0; r < peers.size(); ++r) {
    if (r == rank) continue;
    keepAlive(peers[r].get(), options.deadline);
    links_.emplace_back(std::move(peers[r]), rank, r, *here_);
  }
  heartbeat_ = std::thread([this] { beatWhileBusy(); });
}

Links::~Links() {
  {
    const std::lock_guard lock(resting_);
    stopped_ = true;
  }
  stopping_.notify_one();
  heartbeat_.join();
}

Status Links::exchange(const CallTag& tag, std::span<TcpLink* const> links) {
  std::unique_lock lock(io_);
  const Result<bool> moved = moveAll(links, options_.deadline);
  const Status status = !moved.ok() ? Status(moved.error())
                        : *moved    ? Status::success()
                                    : overdue(tag, links);
  lock.unlock();
  // An abort() from another thread that came while we had the links.
  if (failed_ && lock.try_lock()) announce();
  return status;
}

Result<bool> Links::moveAll(std::span<TcpLink* const> links, milliseconds patience) {
  nanoseconds waited{0};
  bool told = false;  // that we wait
  for (int idle = 0;;) {
    if (failed_) return ended();
    bool moved = false, busy = false;
    for (TcpLink* link : links) {
      moved |= link->advance();
      busy |= link->busy();
      if (link->lost()) return fail(causeOf(link->peer()));
      if (link->failure()) return fail(*link->failure());
    }
    if (!busy) return true;
    if (moved) {
      idle = 0;
      waited = nanoseconds{0};
    } else if (++idle <= (options_.crowded ? 1 : kSpins)) {
      if (options_.crowded) ::sched_yield();
    } else {
      const auto before = steady_clock::now();
      sleep(links);
      // A slice that took much longer is time in which we were stopped, and our peers maybe too.
      waited += std::min<nanoseconds>(steady_clock::now() - before, 2 * kSlice);
      if (waited >= patience) return false;
      if (!told && waited >= kBeatEvery) {
        told = true;
        for (TcpLink& link : links_) {
          if (!link.sending()) link.beat(false);
        }
      }
    }
  }
}

Status Links::leave() {
  std::lock_guard lock(io_);
  if (failed_) return ended();
  const CallTag tag{static_cast<uint16_t>(Call::kLeave)};
  std::vector<TcpLink*> all;
  for (TcpLink& link : links_) {
    link.leave(tag);
    all.push_back(&link);
  }
  // Who does not end is its launcher's to name: here nothing is left to wait for.
  const Result<bool> left = moveAll(all, std::min(options_.deadline, kLeave));
  return left.ok() ? Status::success() : Status(left.error());
}

void Links::sleep(std::span<TcpLink* const> links) {
  polled_.clear();
  polled_.push_back({wake_.get(), POLLIN, 0});
  for (const TcpLink* link : links) {
    if (link->busy()) polled_.push_back({link->fd(), link->events(), 0});
  }
  ::poll(polled_.data(), polled_.size(), static_cast<int>(kSlice.count()));
}

Status Links::overdue(const CallTag& tag, std::span<TcpLink* const> links) {
  std::vector<uint32_t> missing;
  for (const TcpLink* link : links) {
    if (!link->busy()) continue;
    missing.push_back(link->peer());
    missed_[link->peer()] = true;
  }
  for (TcpLink& link : links_) link.hear();
  return fail({static_cast<int32_t>(rank_), overdueError(tag, missing, options_.deadline)});
}

GroupError Links::causeOf(uint32_t lost_peer) {
  const auto until = steady_clock::now() + kGrace;
  for (bool others = true; others && steady_clock::now() < until;) {
    others = false;
    for (TcpLink& link : links_) {
      if (link.lost()) continue;
      link.awaitEnd();  // it may be in a later call already
      link.advance();
      if (link.failure() && link.failure()->rank >= 0) return *link.failure();
      others = true;
    }
    const timespec nap{0, 2'000'000};
    ::nanosleep(&nap, nullptr);
  }
  return {static_cast<int32_t>(lost_peer),
          runtimeError("its connection ended: it died, or its host cannot be reached"), true};
}

Error Links::fail(const GroupError& why) {
  {
    std::lock_guard lock(failing_);
    if (!failure_) failure_ = why;
    failed_ = true;
  }
  return ended();
}

// Why calls fail from now on: our own error as it is, another's with its rank.
Error Links::ended() {
  announce();
  const GroupError why = *firstError();
  return why.rank == static_cast<int32_t>(rank_) ? why.error : why.named();
}

// Tells every peer why the group has ended, once. Under io_. Of an error of our own the others hear
// when it comes back by abort(), for by then it says where in the plan we were.
void Links::announce() {
  std::lock_guard lock(failing_);
  if (announced_ || (failure_->rank == static_cast<int32_t>(rank_) && !aborted_)) return;
  announced_ = true;
  for (TcpLink& link : links_) link.sendEnd(*failure_);
}

void Links::abort(const Error& why) {
  const auto own = static_cast<int32_t>(rank_);
  {
    std::lock_guard lock(failing_);
    if (!aborted_ && (!failure_ || failure_->rank == own)) failure_ = GroupError{own, why};
    aborted_ = failed_ = true;
  }
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
  // Whoever has the links sees failed_ and announces it.
  std::unique_lock lock(io_, std::try_to_lock);
  if (lock) announce();
}

std::optional<GroupError> Links::firstError() const {
  std::lock_guard lock(failing_);
  return failure_;
}

void Links::noteProgress() {
  const auto now = steady_clock::now();
  if (now - last_beat_ < kBeatEvery) return;
  last_beat_ = now;
  std::unique_lock lock(io_, std::try_to_lock);
  if (lock && !failed_) beatAll(true);
}

void Links::beatAll(bool alive) {
  for (TcpLink& link : links_) link.beat(alive);
}

// Between its collectives a rank says where it is as long as it goes on.
void Links::beatWhileBusy() {
  Where said;
  std::unique_lock rest(resting_);
  while (!stopping_.wait_for(rest, kHeartbeat, [&] { return stopped_; })) {
    const Where where = here_->read();
    if (where == said) continue;
    const std::unique_lock lock(io_, std::try_to_lock);
    if (!lock || failed_) continue;
    said = where;
    beatAll(false);
  }
}

std::vector<Sighting> Links::sightings() {
  const std::lock_guard lock(io_);
  std::vector<Sighting> seen(links_.size() + 1);
  seen[rank_].where = here_->read();
  for (const TcpLink& link : links_) seen[link.peer()].where = link.peerWhere();
  for (uint32_t r = 0; r < seen.size(); ++r) seen[r].missed = missed_[r];
  return seen;
}

Tcp::Tcp(std::shared_ptr<Links> links, const std::vector<uint32_t>& ranks)
    : links_(std::move(links)), scratch_(ranks.size()), parts_(ranks.size()) {
  for (uint32_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] == links_->rank()) rank_ = i;
    for (TcpLink& link : links_->all()) {
      if (link.peer() != ranks[i]) continue;
      peers_.push_back({&link, i});
      used_.push_back(&link);
    }
  }
}

Result<std::unique_ptr<Communicator>> Tcp::split(std::span<const std::vector<uint32_t>> groups) {
  DCC_ASSIGN(const PlaceInGroups place, placeInGroups(groups, rank_, size()));
  DCC_RETURN_IF_ERROR(barrier());
  return std::unique_ptr<Communicator>(std::make_unique<Tcp>(links_, groups[place.group]));
}

Status Tcp::exchange(const CallTag& tag) {
  const auto moved = [&] {
    Traffic all;
    for (const TcpLink* link : used_) all += link->traffic();
    return all;
  };
  const Traffic before = moved();
  const Status status = links_->exchange(tag, used_);
  traffic_ += moved() - before;
  return status;
}

float* Tcp::scratch(uint32_t r, size_t count) {
  if (scratch_[r].size() < count) scratch_[r].resize(count);
  return scratch_[r].data();
}

void Tcp::sumAll(const float* own, float* out, size_t count, SumOrder order) {
  if (own == out) {  // sums are not made in place
    std::memcpy(scratch(rank_, count), own, count * sizeof(float));
    own = scratch_[rank_].data();
  }
  for (uint32_t r = 0; r < size(); ++r) parts_[r] = r == rank_ ? own : scratch_[r].data();
  sum(parts_, order, out, count);
}

Status Tcp::allReduceSum(const float* in, float* out, size_t count, SumOrder order) {
  countCall();
  const bool by_shares = sumsByShares(size(), count * sizeof(float));
  const CallTag tag = tagOf(Call::kAllReduce, count * sizeof(float));
  if (count == 0) return exchangeNothing(tag);
  const size_t most = (by_shares ? size() : 1) * kTcpChunkBytes / sizeof(float);
  for (size_t done = 0; done < count;) {
    const size_t n = std::min(most, count - done);
    DCC_RETURN_IF_ERROR(by_shares ? reduceByShares(tag, in + done, out + done, n, order)
                                  : reduceWhole(tag, in + done, out + done, n, order));
    done += n;
  }
  return Status::success();
}

Status Tcp::reduceWhole(const CallTag& tag, const float* in, float* out, size_t count,
                        SumOrder order) {
  for (const Peer& peer : peers_) {
    peer.link->send(tag, in, count * sizeof(float));
    peer.link->receive(tag, scratch(peer.rank, count), count * sizeof(float));
  }
  DCC_RETURN_IF_ERROR(exchange(tag));
  sumAll(in, out, count, order);
  return Status::success();
}

Status Tcp::reduceByShares(const CallTag& tag, const float* in, float* out, size_t count,
                           SumOrder order) {
  const Shares shares(count, size());
  const auto bytes = [&](uint32_t r) { return shares.size(r) * sizeof(float); };
  const size_t own = shares.size(rank_);
  for (const Peer& peer : peers_) {
    peer.link->send(tag, in + shares.begin(peer.rank), bytes(peer.rank));
    peer.link->receive(tag, scratch(peer.rank, own), own * sizeof(float));
  }
  DCC_RETURN_IF_ERROR(exchange(tag));
  sumAll(in + shares.begin(rank_), out + shares.begin(rank_), own, order);
  for (const Peer& peer : peers_) {
    peer.link->send(tag, out + shares.begin(rank_), own * sizeof(float));
    peer.link->receive(tag, out + shares.begin(peer.rank), bytes(peer.rank));
  }
  return exchange(tag);
}

Status Tcp::allGather(const void* in, void* out, std::span<const size_t> bytes) {
  countCall();
  const CallTag tag =
      tagOf(Call::kAllGather, std::accumulate(bytes.begin(), bytes.end(), uint64_t{0}));
  std::byte* to = static_cast<std::byte*>(out);
  for (uint32_t r = 0, next = 0; r < size(); to += bytes[r++]) {
    if (r == rank_) {
      if (bytes[r] > 0 && to != in) std::memmove(to, in, bytes[r]);
      continue;
    }
    TcpLink& link = *peers_[next++].link;
    link.send(tag, in, bytes[rank_]);
    link.receive(tag, to, bytes[r]);
  }
  return exchange(tag);
}

Status Tcp::reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                             SumOrder order) {
  countCall();
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  const CallTag tag = tagOf(Call::kReduceScatter, total * sizeof(float));
  const size_t own = counts[rank_];
  const float* mine = nullptr;
  for (uint32_t r = 0, next = 0; r < size(); in += counts[r++]) {
    if (r == rank_) {
      mine = in;
      continue;
    }
    TcpLink& link = *peers_[next++].link;
    link.send(tag, in, counts[r] * sizeof(float));
    link.receive(tag, scratch(r, own), own * sizeof(float));
  }
  DCC_RETURN_IF_ERROR(exchange(tag));
  if (own > 0) sumAll(mine, out, own, order);
  return Status::success();
}

Status Tcp::allToAll(const void* in, void* out, std::span<const size_t> bytes) {
  countCall();
  const CallTag tag =
      tagOf(Call::kAllToAll, std::accumulate(bytes.begin(), bytes.end(), uint64_t{0}));
  const auto* from = static_cast<const std::byte*>(in);
  auto* to = static_cast<std::byte*>(out);
  for (const Peer& peer : peers_) {
    const size_t sent = bytes[rank_ * size() + peer.rank];
    const size_t received = bytes[peer.rank * size() + rank_];
    peer.link->send(tag, from, sent);
    peer.link->receive(tag, to, received);
    from += sent;
    to += received;
  }
  return exchange(tag);
}

Status Tcp::broadcast(void* data, size_t bytes, uint32_t root) {
  countCall();
  const CallTag tag = tagOf(Call::kBroadcast, bytes, root);
  for (const Peer& peer : peers_) {
    if (rank_ == root) peer.link->send(tag, data, bytes);
    if (peer.rank == root) peer.link->receive(tag, data, bytes);
  }
  return exchange(tag);
}

Status Tcp::exchangeNothing(const CallTag& tag) {
  for (const Peer& peer : peers_) {
    peer.link->send(tag, nullptr, 0);
    peer.link->receive(tag, nullptr, 0);
  }
  return exchange(tag);
}

}  // namespace

std::unique_ptr<Communicator> tcpCommunicator(std::vector<UniqueFd> peers, uint32_t rank,
                                              const WaitOptions& options,
                                              Whereabouts* whereabouts) {
  std::vector<uint32_t> ranks(peers.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  return std::make_unique<Tcp>(
      std::make_shared<Links>(std::move(peers), rank, options, whereabouts), ranks);
}

}  // namespace dcc
