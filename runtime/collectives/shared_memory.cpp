#include "runtime/collectives/shared_memory.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/collectives/call.h"
#include "runtime/collectives/parts.h"
#include "runtime/collectives/shares.h"
#include "runtime/collectives/sum.h"

namespace dcc {
namespace {

constexpr size_t kPieceAlignment = 64;

class SharedMemory final : public Communicator {
 public:
  // `spare`: what lies behind the region, for parts; a part has none.
  SharedMemory(const Region& region, uint32_t rank, const WaitOptions& options,
               std::span<std::byte> spare, std::optional<Part> part = {})
      : region_(region),
        rank_(rank),
        options_(options),
        spare_(spare),
        part_(std::move(part)),
        barrier_(region, rank, options, part_),
        slot_floats_(region.slotBytes() / sizeof(float)),
        parts_(region.ranks()) {}

  uint32_t rank() const override { return rank_; }
  uint32_t size() const override { return region_.ranks(); }

  Status allReduceSum(const float* in, float* out, size_t count, SumOrder order) override;
  Status allGather(const void* in, void* out, std::span<const size_t> bytes) override;
  Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                          SumOrder order) override;
  Status allToAll(const void* in, void* out, std::span<const size_t> bytes) override;
  Status broadcast(void* data, size_t bytes, uint32_t root) override;
  Status barrier() override {
    countCall();
    return exchange(Call::kBarrier, 0);
  }
  Result<std::unique_ptr<Communicator>> split(
      std::span<const std::vector<uint32_t>> groups) override;
  // Who waits in a part looks up now and then.
  void abort(const Error& why) override { whole().abort(static_cast<int32_t>(number()), why); }
  std::optional<GroupError> firstError() const override { return whole().firstError(); }
  void noteProgress() override { barrier_.beat(); }
  Status standBy() override {
    barrier_.beat();
    const auto ended = firstError();
    return ended ? Status(ended->named()) : Status::success();
  }
  Traffic traffic() const override { return traffic_; }
  void stamp(uint32_t stamp) override { stamp_ = stamp; }
  Whereabouts& whereabouts() override { return whole().whereabouts(number()); }
  std::vector<Sighting> sightings() override { return whole().sightings(); }

 private:
  uint32_t number() const { return part_ ? part_->ranks[rank_] : rank_; }
  void countCall() { whereabouts().countCall(); }
  // Our slot for the coming exchange, into which `bytes` are written.
  std::byte* mine(size_t bytes) {
    traffic_.sent += bytes;
    return region_.slot(rank_, barrier_.count() & 1);
  }
  // Rank r's slot of the last exchange, of which `bytes` are read; valid until our next one.
  const std::byte* of(uint32_t r, size_t bytes) {
    if (r != rank_) traffic_.received += bytes;
    return region_.slot(r, (barrier_.count() - 1) & 1);
  }
  // `total`: bytes of the whole call, the same on all ranks.
  Status exchange(Call call, uint64_t total, uint32_t root = 0) {
    return barrier_.wait({static_cast<uint16_t>(call), static_cast<uint16_t>(root), stamp_, total});
  }
  // out = sum of elements [begin, begin + count) of the last exchange's slots.
  void sumSlots(size_t begin, size_t count, SumOrder order, float* out) {
    for (uint32_t r = 0; r < size(); ++r) {
      parts_[r] = reinterpret_cast<const float*>(of(r, count * sizeof(float))) + begin;
    }
    sum(parts_, order, out, count);
  }
  Status reduceChunkByShares(float* out, size_t count, SumOrder order, uint64_t total);

  const Region& whole() const { return part_ ? part_->whole : region_; }

  Region region_;
  uint32_t rank_;
  WaitOptions options_;
  std::span<std::byte> spare_;
  std::optional<Part> part_;
  Barrier barrier_;
  size_t slot_floats_;
  std::vector<const float*> parts_;
  Traffic traffic_;
  uint32_t stamp_ = 0;
};

Status SharedMemory::allReduceSum(const float* in, float* out, size_t count, SumOrder order) {
  countCall();
  const uint64_t total = count * sizeof(float);
  const bool by_shares = sumsByShares(size(), total);
  for (size_t done = 0; done < count;) {
    const size_t n = std::min(slot_floats_, count - done);
    std::memcpy(mine(n * sizeof(float)), in + done, n * sizeof(float));
    DCC_RETURN_IF_ERROR(exchange(Call::kAllReduce, total));
    if (by_shares) {
      DCC_RETURN_IF_ERROR(reduceChunkByShares(out + done, n, order, total));
    } else {
      sumSlots(0, n, order, out + done);
    }
    done += n;
  }
  return count == 0 ? exchange(Call::kAllReduce, 0) : Status::success();
}

// After the exchange of a chunk of `count` elements: sums our share into our next slot and collects
// all shares in `out`.
Status SharedMemory::reduceChunkByShares(float* out, size_t count, SumOrder order, uint64_t total) {
  const Shares shares(count, size());
  if (const size_t own = shares.size(rank_)) {
    sumSlots(shares.begin(rank_), own, order, reinterpret_cast<float*>(mine(own * sizeof(float))));
  }
  DCC_RETURN_IF_ERROR(exchange(Call::kAllReduce, total));
  for (uint32_t r = 0; r < size(); ++r) {
    const size_t bytes = shares.size(r) * sizeof(float);
    std::memcpy(out + shares.begin(r), of(r, bytes), bytes);
  }
  return Status::success();
}

Status SharedMemory::allGather(const void* in, void* out, std::span<const size_t> bytes) {
  countCall();
  const size_t longest = *std::max_element(bytes.begin(), bytes.end());
  const uint64_t total = std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
  const auto chunk = [&](uint32_t r, size_t done) {
    return done < bytes[r] ? std::min(region_.slotBytes(), bytes[r] - done) : 0;
  };
  for (size_t done = 0; done < longest; done += region_.slotBytes()) {
    if (const size_t n = chunk(rank_, done)) {
      std::memcpy(mine(n), static_cast<const std::byte*>(in) + done, n);
    }
    DCC_RETURN_IF_ERROR(exchange(Call::kAllGather, total));
    std::byte* to = static_cast<std::byte*>(out) + done;
    for (uint32_t r = 0; r < size(); to += bytes[r++]) {
      if (const size_t n = chunk(r, done)) std::memcpy(to, of(r, n), n);
    }
  }
  return longest == 0 ? exchange(Call::kAllGather, 0) : Status::success();
}

// A slot is divided among the receivers, so that in every exchange each has something to sum.
Status SharedMemory::reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                                      SumOrder order) {
  countCall();
  const size_t longest = *std::max_element(counts.begin(), counts.end());
  const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0}) * sizeof(float);
  const size_t piece = slot_floats_ / size();
  const auto chunk = [&](uint32_t r, size_t done) {
    return done < counts[r] ? std::min(piece, counts[r] - done) : 0;
  };
  for (size_t done = 0; done < longest; done += piece) {
    const float* from = in + done;
    for (uint32_t r = 0; r < size(); from += counts[r++]) {
      const size_t bytes = chunk(r, done) * sizeof(float);
      if (bytes > 0) std::memcpy(mine(bytes) + r * piece * sizeof(float), from, bytes);
    }
    DCC_RETURN_IF_ERROR(exchange(Call::kReduceScatter, total));
    if (const size_t n = chunk(rank_, done)) sumSlots(rank_ * piece, n, order, out + done);
  }
  return longest == 0 ? exchange(Call::kReduceScatter, 0) : Status::success();
}

// As there.
Status SharedMemory::allToAll(const void* in, void* out, std::span<const size_t> bytes) {
  countCall();
  const size_t longest = *std::max_element(bytes.begin(), bytes.end());
  const uint64_t total = std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
  const size_t piece = region_.slotBytes() / size() / kPieceAlignment * kPieceAlignment;
  const auto chunk = [&](size_t of_all, size_t done) {
    return done < of_all ? std::min(piece, of_all - done) : 0;
  };
  for (size_t done = 0; done < longest; done += piece) {
    const auto* from = static_cast<const std::byte*>(in) + done;
    for (uint32_t r = 0; r < size(); ++r) {
      const size_t all = bytes[rank_ * size() + r], n = chunk(all, done);
      if (n > 0) std::memcpy(mine(n) + r * piece, from, n);
      from += all;
    }
    DCC_RETURN_IF_ERROR(exchange(Call::kAllToAll, total));
    auto* to = static_cast<std::byte*>(out) + done;
    for (uint32_t r = 0; r < size(); ++r) {
      const size_t all = bytes[r * size() + rank_], n = chunk(all, done);
      if (n > 0) std::memcpy(to, of(r, n) + rank_ * piece, n);
      to += all;
    }
  }
  return longest == 0 ? exchange(Call::kAllToAll, 0) : Status::success();
}

Status SharedMemory::broadcast(void* data, size_t bytes, uint32_t root) {
  countCall();
  for (size_t done = 0; done < bytes; done += region_.slotBytes()) {
    const size_t n = std::min(region_.slotBytes(), bytes - done);
    std::byte* at = static_cast<std::byte*>(data) + done;
    if (rank_ == root) std::memcpy(mine(n), at, n);
    DCC_RETURN_IF_ERROR(exchange(Call::kBroadcast, bytes, root));
    if (rank_ != root) std::memcpy(at, of(root, n), n);
  }
  return bytes == 0 ? exchange(Call::kBroadcast, 0, root) : Status::success();
}

// The parts' regions lie one after the other; a part's first rank lays out its own.
Result<std::unique_ptr<Communicator>> SharedMemory::split(
    std::span<const std::vector<uint32_t>> groups) {
  DCC_ASSIGN(const PlaceInGroups place, placeInGroups(groups, rank_, size()));
  std::span<std::byte> memory = spare_;
  for (size_t g = 0; g <= place.group; ++g) {
    const auto ranks = static_cast<uint32_t>(groups[g].size());
    DCC_ASSIGN(const size_t bytes, Region::bytesFor(ranks, region_.slotBytes()));
    if (memory.size() < bytes) {
      return runtimeError("shared memory: no room for groups of the " + std::to_string(size()) +
                          " ranks");
    }
    if (g < place.group) memory = memory.subspan(bytes);
  }
  const std::vector<uint32_t>& own = groups[place.group];
  if (place.index == 0) {
    DCC_RETURN_IF_ERROR(
        Region::format(memory, static_cast<uint32_t>(own.size()), region_.slotBytes()));
  }
  DCC_RETURN_IF_ERROR(barrier());
  DCC_ASSIGN(const Region region, Region::open(memory));
  return std::unique_ptr<Communicator>(std::make_unique<SharedMemory>(
      region, place.index, options_, std::span<std::byte>(), Part{region_, own}));
}

}  // namespace

Result<std::unique_ptr<Communicator>> sharedMemoryCommunicator(std::span<std::byte> memory,
                                                               uint32_t rank, uint32_t size,
                                                               const WaitOptions& options) {
  DCC_ASSIGN(const Region region, Region::open(memory));
  if (region.ranks() != size || rank >= size) {
    return runtimeError("rank " + std::to_string(rank) + " of " + std::to_string(size) +
                        " in shared memory for " + std::to_string(region.ranks()) + " ranks");
  }
  return std::unique_ptr<Communicator>(
      std::make_unique<SharedMemory>(region, rank, options, memory.subspan(region.bytes())));
}

}  // namespace dcc
