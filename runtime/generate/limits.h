// What the step loop must know of a plan: the bounds of a step and the pages of its caches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/status.h"

namespace dcc::plan {
class Plan;
}

namespace dcc::generate {

// An entry of the plan and how large a step it takes.
struct EntryLimits {
  int32_t index = -1;  // in Plan.entries; -1: the plan has none of this name
  uint32_t max_tokens = 0;
  uint32_t max_seqs = 0;
};

struct PageGroupLimits {
  std::string name;
  uint32_t tokens_per_page = 0;
  uint64_t pages = 0;
  uint64_t window = 0;  // a token sees only this many last tokens; 0: all
};

struct Limits {
  EntryLimits prefill, decode, logits, encode;
  uint64_t max_seq_len = 0;
  uint64_t vocab_size = 0;
  uint32_t token_types = 0;
  std::vector<PageGroupLimits> groups;

  // Largest step of any entry.
  uint32_t maxTokens() const;
  uint32_t maxSeqs() const;
};

// Of a verified plan.
Limits limitsOf(const plan::Plan& plan);

}  // namespace dcc::generate
