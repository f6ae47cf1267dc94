// The barrier of a group, with sequence numbers: the n-th barrier is passed once `ranks` * n
// arrivals are counted, so nothing has to be reset and a fast rank may already be at the next one.
//
// A waiter spins, then yields, then sleeps in a futex. Where threads outnumber cores it does not
// spin, since that would only take the core from the rank it waits for.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/collectives/call.h"
#include "runtime/collectives/region.h"

namespace dcc {

// A group that is a part of another: there errors are kept and ranks have these numbers.
struct Part {
  Region whole;
  std::vector<uint32_t> ranks;
};

class Barrier {
 public:
  // `part`: of the whole that the region's group is a part of.
  Barrier(const Region& region, uint32_t rank, const WaitOptions& options,
          std::optional<Part> part = {})
      : region_(region), rank_(rank), options_(options), part_(std::move(part)) {}

  // Arrives with `tag` and waits for all. Errors (runtime): aborted, with the first error; the
  // deadline, naming the missing ranks; a peer that came with another tag.
  Status wait(const CallTag& tag);
  // Exchanges done; its lowest bit is the parity of the coming one.
  uint32_t count() const { return count_; }

  void beat();

 private:
  bool passed(uint32_t word) const;
  // A rank's number among all, and the region that has its whereabouts.
  uint32_t numberOf(uint32_t rank) const { return part_ ? part_->ranks[rank] : rank; }
  const Region& whole() const { return part_ ? part_->whole : region_; }
  // Whether the group, or what it is a part of, has ended; `word` is Gate.word.
  bool ended(uint32_t word) const { return (word & 1) != 0 || whole().aborted(); }
  Status sleep(const CallTag& tag);
  Status aborted() const;
  Status overdue(const CallTag& tag) const;
  uint64_t signsOfLife() const;
  Status compareTags(const CallTag& tag, uint32_t parity) const;

  Region region_;
  uint32_t rank_;
  WaitOptions options_;
  std::optional<Part> part_;
  uint32_t count_ = 0;
  uint32_t target_ = 0;  // value of Gate.word, but for its lowest bit, that lets this rank through
};

}  // namespace dcc
