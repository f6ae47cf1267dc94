// The memory that the ranks of one group share: who has arrived where, the first error, and two
// slots per rank for payloads. It is a memfd mapped by N processes or plain memory of one process
// whose threads are the ranks; nothing in it is an address.
//
//   Header | Gate | FirstError | Member[ranks] | slots[ranks][2], each slot_bytes
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/collectives/call.h"
#include "runtime/collectives/communicator.h"

namespace dcc {

// A view of shared memory that format() has laid out. Cheap to copy; the memory outlives it.
class Region {
 public:
  static constexpr uint32_t kMaxRanks = 1024;
  static constexpr size_t kMaxSlotBytes = size_t{1} << 30;
  // Large enough that a barrier is a small part of moving it, small enough for both slots of a
  // rank and of its neighbour to stay in a core's second-level cache.
  static constexpr size_t kDefaultSlotBytes = size_t{256} << 10;
  static constexpr size_t kAlignment = 64;

  // Bytes of a region. Errors: no such number of ranks, or slots that are no multiple of kAlignment
  // or without one such unit per rank.
  static Result<size_t> bytesFor(uint32_t ranks, size_t slot_bytes);
  // Of a region and, behind it, those of groups that its ranks are parted into.
  static Result<size_t> bytesWithParts(uint32_t ranks, size_t slot_bytes);
  // Lays out `memory` (kAlignment-aligned, at least bytesFor). Before any rank opens it.
  static Status format(std::span<std::byte> memory, uint32_t ranks, size_t slot_bytes);
  // Error: not a formatted region of this build, or smaller than its header says.
  static Result<Region> open(std::span<std::byte> memory);

  uint32_t ranks() const { return ranks_; }
  size_t bytes() const { return bytes_; }
  size_t slotBytes() const { return slot_bytes_; }
  std::byte* slot(uint32_t rank, uint32_t parity) const {
    return slots_ + (size_t{rank} * 2 + parity) * slot_bytes_;
  }

  // Keeps the first error of the group and wakes all who wait. Callable from any thread and
  // process.
  void abort(const GroupError& why) const;
  void abort(int32_t rank, const Error& why) const { abort({rank, why}); }
  bool aborted() const { return gate_->word.load(std::memory_order_acquire) & 1; }
  // What ended the group, if something did and its message is complete.
  std::optional<GroupError> firstError() const;

  // A rank that has done all its work says so before it ends; any other end is a failure.
  void markFinished(uint32_t rank) const { members_[rank].finished.store(1); }
  bool finished(uint32_t rank) const { return members_[rank].finished.load() != 0; }

  // Where the rank is; written by itself.
  Whereabouts& whereabouts(uint32_t rank) const { return members_[rank].whereabouts; }
  // Somebody waits for the rank no longer.
  void markMissed(uint32_t rank) const { members_[rank].missed.store(1); }
  std::vector<Sighting> sightings() const;

 private:
  friend class Barrier;

  struct alignas(kAlignment) Header {
    char magic[8];
    uint32_t version;
    uint32_t ranks;
    uint64_t slot_bytes;
    uint64_t bytes;
  };
  // `word` is 2 * (arrivals at barriers, all ranks together) + (1 when aborted), so that one word
  // says all a waiter wants to know, and one futex wakes it for either reason.
  struct alignas(kAlignment) Gate {
    std::atomic<uint32_t> word;
    std::atomic<uint32_t> sleepers;  // at most this many wait in the kernel
  };
  struct alignas(kAlignment) FirstError {
    std::atomic<uint32_t> state;  // 0 none, 1 being written, 2 complete
    int32_t rank;
    uint32_t fault;
    uint32_t lost;
    uint32_t length;
    char message[2028];
    uint32_t details_length;
    char details[4092];
  };
  // Written by its rank only.
  struct alignas(kAlignment) Member {
    std::atomic<uint32_t> arrived;  // barriers this rank has come to
    std::atomic<uint32_t> beats;    // signs of life between barriers
    std::atomic<uint32_t> finished;
    std::atomic<uint32_t> missed;  // written by any
    Whereabouts whereabouts;
    CallTag tags[2];  // by parity of the exchange
  };
  static_assert(std::atomic<uint32_t>::is_always_lock_free);
  static_assert(sizeof(Header) == 64 && sizeof(Gate) == 64 && sizeof(Member) == 64);

  static size_t slotsOffset(uint32_t ranks);

  uint32_t ranks_ = 0;
  size_t bytes_ = 0;
  size_t slot_bytes_ = 0;
  Gate* gate_ = nullptr;
  FirstError* error_ = nullptr;
  Member* members_ = nullptr;
  std::byte* slots_ = nullptr;
};

}  // namespace dcc
