// What `dcc explain` says, before it becomes text or JSON.
#pragma once

#include <string>
#include <vector>

#include "compiler/collective_report.h"
#include "compiler/explain.h"
#include "runtime/footprint/memory.h"
#include "runtime/plan/directory.h"

namespace dcc {

struct EntryExplanation {
  std::string name;
  int64_t tokens = 0, seqs = 0;  // of the step
  uint32_t instructions = 0, collectives = 0;
  uint64_t arena = 0;
  std::vector<FoldedCollectives> rows;  // of rank 0
  std::vector<footprint::Moved> ranks;  // sums over the entry, per rank
};

struct Explanation {
  plan::Manifest manifest;
  uint32_t max_tokens = 0, max_seqs = 0;
  uint64_t max_seq_len = 0;
  std::optional<uint64_t> seed;  // of random weights
  bool invariant = false;        // numerics
  footprint::Running running;
  std::vector<footprint::Memory> memory;  // per rank
  std::vector<EntryExplanation> entries;
};

std::string asText(const Explanation& explanation);
std::string asJson(const Explanation& explanation);

// "512 B", "1.2 KiB", "10.4 MiB", "2.00 GiB".
std::string bytesText(uint64_t bytes);

}  // namespace dcc
