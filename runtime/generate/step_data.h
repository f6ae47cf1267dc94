// A step that owns its arrays, and its form on the wire from rank 0 to the others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/collectives/communicator.h"
#include "runtime/executor/step.h"
#include "runtime/generate/limits.h"

namespace dcc::generate {

enum class StepKind : int32_t {
  kEnd = 0,       // no step: the ranks are done
  kGenerate = 1,  // tokens are sampled for the rows of `sampled`
  kScore = 2,     // the logits of every token are gathered
  kEncode = 3,    // what a text gives is gathered
};

struct StepData {
  StepKind kind = StepKind::kEnd;
  uint32_t entry = 0;
  std::vector<int32_t> tokens, positions;  // [T]
  std::vector<int32_t> types;              // [T], or none
  std::vector<int32_t> starts;             // [B + 1]
  std::vector<int32_t> rope_lengths;       // [B]
  std::vector<int32_t> requests;           // [B], what each sequence's draws are made by
  std::vector<int32_t> sampled;            // rows (sequences of the step) that get a new token
  struct Table {
    std::vector<int32_t> pages;  // [B, stride]
    uint32_t stride = 0;
  };
  std::vector<Table> tables;  // per page group

  // Empties all arrays, for `groups` page groups; keeps their memory.
  void clear(size_t groups);
  // The executor's view; valid while this is not changed. `scratch` holds the tables' views.
  Step view(std::vector<Step::PageTable>& scratch) const;
};

// Rank 0's step becomes everybody's. Kept between steps for its buffers.
class StepBroadcast {
 public:
  StepBroadcast(const Limits& limits, Communicator& world) : limits_(limits), world_(world) {}

  // On rank 0 `step` is sent, on the others received. A received step is within the limits: counts,
  // table sizes and the order of `starts`; what it names in the plan the executor checks.
  Status operator()(StepData& step);

 private:
  void pack(const StepData& step);
  Status unpack(StepData& step) const;
  uint64_t maxWords() const;

  Limits limits_;
  Communicator& world_;
  std::vector<int32_t> words_;
};

}  // namespace dcc::generate
