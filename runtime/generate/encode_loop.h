// Texts through the entry "encode": as in step_loop.h the group's rank 0 decides and broadcasts
// each step, every rank runs it. A step has as many whole texts as fit, one after the other.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/generate/gather.h"
#include "runtime/generate/runner.h"
#include "runtime/generate/step_data.h"
#include "runtime/generate/step_stamp.h"

namespace dcc::generate {

struct Text {
  std::vector<int32_t> ids;    // from 1 to max_seq_len
  std::vector<int32_t> types;  // as many, or none: all 0
};

class EncodeLoop {
 public:
  // One per rank of the group. All of them outlive the loop. `alive` is called after every step.
  EncodeLoop(const Limits& limits, Communicator& group, StepRunner& runner,
             std::function<void()> alive);

  // A result: rows [rows.size() / columns, columns] of text `text` (its index), whose first row is
  // row `first` of the text's. Texts come in order.
  using Each = std::function<Status(size_t text, size_t first, std::span<const float> rows)>;

  // Rank 0: runs all texts, at most `most_tokens` tokens in a step where those are more than one
  // text's. The others' follow() returns when it is done.
  Status lead(std::span<const Text> texts, uint32_t most_tokens, const Each& each);
  // Other ranks: take part in one lead().
  Status follow();

 private:
  void fill(std::span<const Text> texts, size_t& next, uint32_t most_tokens);
  Status run(size_t first_text, const Each* each);

  Limits limits_;
  StepRunner& runner_;
  std::function<void()> alive_;
  StepBroadcast broadcast_;
  StepStamp stamp_;
  RowGather gather_;
  StepData step_;
  std::vector<Step::PageTable> tables_;  // none: there is no cache
};

}  // namespace dcc::generate
