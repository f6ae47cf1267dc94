// Who holds which page of the KV cache. Pages are promised to a sequence as a whole when it is
// admitted, for all the tokens it may ever have: a sequence that runs can always go on, so nothing
// waits for another and nothing can deadlock.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/generate/limits.h"

namespace dcc::generate {

// Pages of one sequence, one list per page group. Page k of the sequence lies in pages[k % size]:
// a group with a window keeps only as many pages as the window spans and uses them in turn.
using SequencePages = std::vector<std::vector<int32_t>>;

class PagePool {
 public:
  // `max_chunk`: most tokens of one sequence in a step.
  PagePool(std::vector<PageGroupLimits> groups, uint32_t max_chunk);

  // Longest sequence that fits when it is alone.
  uint64_t capacity() const;
  // Pages for a sequence of up to `tokens`, or nothing when they are not free now.
  std::optional<SequencePages> acquire(uint64_t tokens);
  void release(const SequencePages& pages);
  // Pages of each group that are taken at most by sequences of these lengths, of which up to
  // `at_once` run at a time.
  std::vector<uint64_t> mostTaken(std::vector<uint64_t> lengths, size_t at_once) const;
  // Free pages of a group.
  size_t available(size_t group) const { return free_[group].size(); }

 private:
  uint64_t needed(const PageGroupLimits& group, uint64_t tokens) const;

  std::vector<PageGroupLimits> groups_;
  uint32_t max_chunk_;
  std::vector<std::vector<int32_t>> free_;  // per group, the next one last
};

}  // namespace dcc::generate
