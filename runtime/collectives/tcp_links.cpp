#include "runtime/collectives/tcp_links.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

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
// What the kernel's clock for silence may be off.
constexpr milliseconds kTick{20};
// So long nothing that was sent is acknowledged by the peer's host, or longer where the deadline
// is.
constexpr milliseconds kLost{60'000};

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

}  // namespace

TcpLinks::TcpLinks(std::vector<UniqueFd> peers, uint32_t rank, const WaitOptions& options,
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

TcpLinks::~TcpLinks() {
  {
    const std::lock_guard lock(resting_);
    stopped_ = true;
  }
  stopping_.notify_one();
  heartbeat_.join();
}

Status TcpLinks::exchange(const CallTag& tag, std::span<TcpLink* const> links) {
  std::unique_lock lock(io_);
  const Result<bool> moved = moveAll(links, options_.deadline);
  const Status status = !moved.ok() ? Status(moved.error())
                        : *moved    ? Status::success()
                                    : overdue(tag, links);
  last_exchange_ = steady_clock::now();
  lock.unlock();
  // An abort() from another thread that came while we had the links.
  if (failed_ && lock.try_lock()) announce();
  return status;
}

Result<bool> TcpLinks::moveAll(std::span<TcpLink* const> links, milliseconds patience) {
  // Who waits says so, again and again, so that a silent rank is not one that waits.
  const nanoseconds soon = std::min(kBeatEvery, patience / 4);
  nanoseconds waited{0}, next_word = soon;
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
      next_word = soon;
    } else if (++idle <= (options_.crowded ? 1 : kSpins)) {
      if (options_.crowded) ::sched_yield();
    } else {
      const auto before = steady_clock::now();
      sleep(links);
      // A slice that took much longer is time in which we were stopped, and our peers maybe too.
      waited += std::min<nanoseconds>(steady_clock::now() - before, 2 * kSlice);
      if (waited >= patience) return false;
      if (waited < next_word) continue;
      next_word += std::min(kHeartbeat, patience / 4);
      for (TcpLink& link : links_) {
        if (!link.sending()) link.beat(false);
      }
    }
  }
}

Status TcpLinks::leave() {
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

void TcpLinks::sleep(std::span<TcpLink* const> links) {
  polled_.clear();
  polled_.push_back({wake_.get(), POLLIN, 0});
  for (const TcpLink* link : links) {
    if (link->busy()) polled_.push_back({link->fd(), link->events(), 0});
  }
  ::poll(polled_.data(), polled_.size(), static_cast<int>(kSlice.count()));
}

Status TcpLinks::overdue(const CallTag& tag, std::span<TcpLink* const> links) {
  std::vector<uint32_t> missing;
  // Whom we wait for may itself wait for one of these, and says so.
  for (const TcpLink& link : links_) {
    if (link.silence() >= options_.deadline / 2) missing.push_back(link.peer());
  }
  const bool all_speak = missing.empty();
  for (const TcpLink* link : links) {
    if (all_speak && link->busy()) missing.push_back(link->peer());
  }
  for (TcpLink& link : links_) link.hear();
  for (const uint32_t r : missing) missed_[r] = true;
  return fail({static_cast<int32_t>(rank_), overdueError(tag, missing, options_.deadline)});
}

// Ranks that wait for us say so; one that has, and no longer does, is gone.
Status TcpLinks::standBy() {
  noteProgress();
  const std::unique_lock lock(io_, std::try_to_lock);
  if (!lock) return Status::success();
  if (failed_) return ended();
  const auto idle = steady_clock::now() - last_exchange_;
  std::vector<uint32_t> missing;
  milliseconds longest{0};
  for (TcpLink& link : links_) {
    link.hear();
    if (link.failure()) return fail(*link.failure());
    if (link.lost()) return fail(causeOf(link.peer()));
    const milliseconds silence = link.silence();
    if (silence + kTick >= idle) continue;
    longest = std::max(longest, silence);
    if (silence >= options_.deadline / 2) missing.push_back(link.peer());
  }
  if (longest < options_.deadline) return Status::success();
  for (const uint32_t r : missing) missed_[r] = true;
  return fail({static_cast<int32_t>(rank_), silenceError(missing, options_.deadline)});
}

GroupError TcpLinks::causeOf(uint32_t lost_peer) {
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

Error TcpLinks::fail(const GroupError& why) {
  {
    std::lock_guard lock(failing_);
    if (!failure_) failure_ = why;
    failed_ = true;
  }
  return ended();
}

// Why calls fail from now on: our own error as it is, another's with its rank.
Error TcpLinks::ended() {
  announce();
  const GroupError why = *firstError();
  return why.rank == static_cast<int32_t>(rank_) ? why.error : why.named();
}

// Tells every peer why the group has ended, once. Under io_. Of an error of our own the others hear
// when it comes back by abort(), for by then it says where in the plan we were.
void TcpLinks::announce() {
  std::lock_guard lock(failing_);
  if (announced_ || (failure_->rank == static_cast<int32_t>(rank_) && !aborted_)) return;
  announced_ = true;
  for (TcpLink& link : links_) link.sendEnd(*failure_);
}

void TcpLinks::abort(const Error& why) {
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

std::optional<GroupError> TcpLinks::firstError() const {
  std::lock_guard lock(failing_);
  return failure_;
}

void TcpLinks::noteProgress() {
  const auto now = steady_clock::now();
  if (now - last_beat_ < kBeatEvery) return;
  last_beat_ = now;
  std::unique_lock lock(io_, std::try_to_lock);
  if (lock && !failed_) beatAll(true);
}

void TcpLinks::beatAll(bool alive) {
  for (TcpLink& link : links_) link.beat(alive);
}

// Between its collectives a rank says where it is as long as it goes on.
void TcpLinks::beatWhileBusy() {
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

std::vector<Sighting> TcpLinks::sightings() {
  const std::lock_guard lock(io_);
  std::vector<Sighting> seen(links_.size() + 1);
  seen[rank_].where = here_->read();
  for (const TcpLink& link : links_) seen[link.peer()].where = link.peerWhere();
  for (uint32_t r = 0; r < seen.size(); ++r) seen[r].missed = missed_[r];
  return seen;
}

}  // namespace dcc
