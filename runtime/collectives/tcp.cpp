#include "runtime/collectives/tcp.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <numeric>

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
// Where a connection ends without a word, another peer may know why.
constexpr milliseconds kGrace{200};

class Tcp final : public Communicator {
 public:
  Tcp(std::vector<UniqueFd> peers, uint32_t rank, const WaitOptions& options);
  ~Tcp() override = default;

  uint32_t rank() const override { return rank_; }
  uint32_t size() const override { return static_cast<uint32_t>(scratch_.size()); }

  Status allReduceSum(const float* in, float* out, size_t count, SumOrder order) override;
  Status allGather(const void* in, void* out, std::span<const size_t> bytes) override;
  Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                          SumOrder order) override;
  Status broadcast(void* data, size_t bytes, uint32_t root) override;
  Status barrier() override { return exchangeNothing(tagOf(Call::kBarrier, 0)); }
  void noteProgress() override;
  void abort(const Error& why) override;
  std::optional<GroupError> firstError() const override;
  Traffic traffic() const override;

 private:
  static CallTag tagOf(Call call, uint64_t total, uint32_t root = 0) {
    return {static_cast<uint32_t>(call), root, total};
  }
  // Only headers, to and from all.
  Status exchangeNothing(const CallTag& tag);
  // Moves what was given to the links.
  Status exchange(const CallTag& tag);
  Status moveAll(const CallTag& tag);
  void sleep();
  Status overdue(const CallTag& tag);
  GroupError causeOf(uint32_t lost_peer);
  Error fail(const GroupError& why);
  Error ended();
  void announce();

  // Rank r's contribution to a sum, of `count` elements.
  float* scratch(uint32_t r, size_t count);
  // out = the sum of `own` and what has come into the others' scratch.
  void sumAll(const float* own, float* out, size_t count, SumOrder order);
  Status reduceWhole(const CallTag& tag, const float* in, float* out, size_t count, SumOrder order);
  Status reduceByShares(const CallTag& tag, const float* in, float* out, size_t count,
                        SumOrder order);

  uint32_t rank_;
  WaitOptions options_;
  std::vector<TcpLink> links_;
  std::vector<std::vector<float>> scratch_;  // per rank
  std::vector<const float*> parts_;
  std::vector<pollfd> polled_;
  UniqueFd wake_;
  steady_clock::time_point last_beat_{};

  std::mutex io_;  // who uses the links
  mutable std::mutex failing_;
  std::optional<GroupError> failure_;
  std::atomic<bool> failed_ = false;
  bool announced_ = false;  // under io_
};

Tcp::Tcp(std::vector<UniqueFd> peers, uint32_t rank, const WaitOptions& options)
    : rank_(rank),
      options_(options),
      scratch_(peers.size()),
      parts_(peers.size()),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  links_.reserve(peers.size());
  for (uint32_t r = 0; r < peers.size(); ++r) {
    if (r != rank) links_.emplace_back(std::move(peers[r]), rank, r);
  }
}

Status Tcp::exchange(const CallTag& tag) {
  std::unique_lock lock(io_);
  const Status status = moveAll(tag);
  lock.unlock();
  // An abort() from another thread that came while we had the links.
  if (failed_ && lock.try_lock()) announce();
  return status;
}

Status Tcp::moveAll(const CallTag& tag) {
  nanoseconds waited{0};
  for (int idle = 0;;) {
    if (failed_) return ended();
    bool moved = false, busy = false;
    for (TcpLink& link : links_) {
      moved |= link.advance();
      busy |= link.busy();
      if (link.lost()) return fail(causeOf(link.peer()));
      if (link.failure()) return fail(*link.failure());
    }
    if (!busy) return Status::success();
    if (moved) {
      idle = 0;
      waited = nanoseconds{0};
    } else if (++idle <= (options_.crowded ? 1 : kSpins)) {
      if (options_.crowded) ::sched_yield();
    } else {
      const auto before = steady_clock::now();
      sleep();
      // A slice that took much longer is time in which we were stopped, and our peers maybe too.
      waited += std::min<nanoseconds>(steady_clock::now() - before, 2 * kSlice);
      if (waited >= options_.deadline) return overdue(tag);
    }
  }
}

void Tcp::sleep() {
  polled_.clear();
  polled_.push_back({wake_.get(), POLLIN, 0});
  for (const TcpLink& link : links_) {
    if (link.busy()) polled_.push_back({link.fd(), link.events(), 0});
  }
  ::poll(polled_.data(), polled_.size(), static_cast<int>(kSlice.count()));
}

Status Tcp::overdue(const CallTag& tag) {
  std::vector<uint32_t> missing;
  for (const TcpLink& link : links_) {
    if (link.busy()) missing.push_back(link.peer());
  }
  return fail({static_cast<int32_t>(rank_), overdueError(tag, missing, options_.deadline)});
}

GroupError Tcp::causeOf(uint32_t lost_peer) {
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

Error Tcp::fail(const GroupError& why) {
  {
    std::lock_guard lock(failing_);
    if (!failure_) failure_ = why;
    failed_ = true;
  }
  return ended();
}

// Why calls fail from now on: our own error as it is, another's with its rank.
Error Tcp::ended() {
  announce();
  return failure_->rank == static_cast<int32_t>(rank_) ? failure_->error : failure_->named();
}

// Tells every peer why the group has ended, once. Under io_.
void Tcp::announce() {
  if (announced_) return;
  announced_ = true;
  for (TcpLink& link : links_) link.sendEnd(*failure_);
}

void Tcp::abort(const Error& why) {
  {
    std::lock_guard lock(failing_);
    if (!failure_) failure_ = GroupError{static_cast<int32_t>(rank_), why};
    failed_ = true;
  }
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
  // Whoever has the links sees failed_ and announces it.
  std::unique_lock lock(io_, std::try_to_lock);
  if (lock) announce();
}

std::optional<GroupError> Tcp::firstError() const {
  std::lock_guard lock(failing_);
  return failure_;
}

Traffic Tcp::traffic() const {
  Traffic all;
  for (const TcpLink& link : links_) all += link.traffic();
  return all;
}

void Tcp::noteProgress() {
  const auto now = steady_clock::now();
  if (now - last_beat_ < kBeatEvery) return;
  last_beat_ = now;
  std::unique_lock lock(io_, std::try_to_lock);
  if (!lock || failed_) return;
  for (TcpLink& link : links_) link.beat();
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
  for (TcpLink& link : links_) {
    link.send(tag, in, count * sizeof(float));
    link.receive(tag, scratch(link.peer(), count), count * sizeof(float));
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
  for (TcpLink& link : links_) {
    link.send(tag, in + shares.begin(link.peer()), bytes(link.peer()));
    link.receive(tag, scratch(link.peer(), own), own * sizeof(float));
  }
  DCC_RETURN_IF_ERROR(exchange(tag));
  sumAll(in + shares.begin(rank_), out + shares.begin(rank_), own, order);
  for (TcpLink& link : links_) {
    link.send(tag, out + shares.begin(rank_), own * sizeof(float));
    link.receive(tag, out + shares.begin(link.peer()), bytes(link.peer()));
  }
  return exchange(tag);
}

Status Tcp::allGather(const void* in, void* out, std::span<const size_t> bytes) {
  const CallTag tag =
      tagOf(Call::kAllGather, std::accumulate(bytes.begin(), bytes.end(), uint64_t{0}));
  std::byte* to = static_cast<std::byte*>(out);
  for (uint32_t r = 0, next = 0; r < size(); to += bytes[r++]) {
    if (r == rank_) {
      if (bytes[r] > 0 && to != in) std::memmove(to, in, bytes[r]);
      continue;
    }
    TcpLink& link = links_[next++];
    link.send(tag, in, bytes[rank_]);
    link.receive(tag, to, bytes[r]);
  }
  return exchange(tag);
}

Status Tcp::reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                             SumOrder order) {
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  const CallTag tag = tagOf(Call::kReduceScatter, total * sizeof(float));
  const size_t own = counts[rank_];
  const float* mine = nullptr;
  for (uint32_t r = 0, next = 0; r < size(); in += counts[r++]) {
    if (r == rank_) {
      mine = in;
      continue;
    }
    TcpLink& link = links_[next++];
    link.send(tag, in, counts[r] * sizeof(float));
    link.receive(tag, scratch(r, own), own * sizeof(float));
  }
  DCC_RETURN_IF_ERROR(exchange(tag));
  if (own > 0) sumAll(mine, out, own, order);
  return Status::success();
}

Status Tcp::broadcast(void* data, size_t bytes, uint32_t root) {
  const CallTag tag = tagOf(Call::kBroadcast, bytes, root);
  for (TcpLink& link : links_) {
    if (rank_ == root) link.send(tag, data, bytes);
    if (link.peer() == root) link.receive(tag, data, bytes);
  }
  return exchange(tag);
}

Status Tcp::exchangeNothing(const CallTag& tag) {
  for (TcpLink& link : links_) {
    link.send(tag, nullptr, 0);
    link.receive(tag, nullptr, 0);
  }
  return exchange(tag);
}

}  // namespace

std::unique_ptr<Communicator> tcpCommunicator(std::vector<UniqueFd> peers, uint32_t rank,
                                              const WaitOptions& options) {
  return std::make_unique<Tcp>(std::move(peers), rank, options);
}

}  // namespace dcc
