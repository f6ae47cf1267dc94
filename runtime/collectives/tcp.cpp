#include "runtime/collectives/tcp.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "runtime/collectives/parts.h"
#include "runtime/collectives/shares.h"
#include "runtime/collectives/sum.h"
#include "runtime/collectives/tcp_links.h"

namespace dcc {
namespace {

// The group of all ranks, or a part of it. Between two ranks calls of both follow each other in one
// order, so that they share a connection.
class Tcp final : public Communicator {
 public:
  // `ranks`: of the group, by their numbers among all.
  Tcp(std::shared_ptr<TcpLinks> links, const std::vector<uint32_t>& ranks);

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
  Status standBy() override { return links_->standBy(); }
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

  std::shared_ptr<TcpLinks> links_;
  uint32_t rank_ = 0;
  std::vector<Peer> peers_;
  std::vector<TcpLink*> used_;               // the peers'
  std::vector<std::vector<float>> scratch_;  // per rank
  std::vector<const float*> parts_;
  Traffic traffic_;
  uint32_t stamp_ = 0;
};

Tcp::Tcp(std::shared_ptr<TcpLinks> links, const std::vector<uint32_t>& ranks)
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
      std::make_shared<TcpLinks>(std::move(peers), rank, options, whereabouts), ranks);
}

}  // namespace dcc
