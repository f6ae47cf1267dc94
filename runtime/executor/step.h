// One step of a plan: T packed tokens of B sequences, no padding. Rank 0 makes it, every rank runs
// the same one.
#pragma once

#include <cstdint>
#include <span>

namespace dcc {

// A sequence's tokens of a step: those at positions [first, first + tokens).
struct SequencePart {
  int32_t first = 0, tokens = 0;
};

// Sequence b's tokens of this step are [starts[b], starts[b+1]) of `tokens`, at least one each; its
// tokens' positions are consecutive.
struct Step {
  uint32_t entry = 0;                     // index into Plan.entries
  std::span<const int32_t> tokens;        // [T]
  std::span<const int32_t> positions;     // [T]
  std::span<const int32_t> types;         // [T], or none where all are 0
  std::span<const int32_t> starts;        // [B + 1], starts[0] = 0, starts[B] = T
  std::span<const int32_t> rope_lengths;  // [B], sequence length that selects dynamic frequencies:
                                          // the whole prompt's while it is prefilled, then
                                          // position + 1
  // Page tables, one per page group, [B, stride] each, row b: the pages of sequence b in order.
  struct PageTable {
    std::span<const int32_t> pages;
    uint32_t stride = 0;
  };
  std::span<const PageTable> page_tables;

  int64_t T() const { return static_cast<int64_t>(tokens.size()); }
  int64_t B() const { return static_cast<int64_t>(starts.size()) - 1; }
};

}  // namespace dcc
