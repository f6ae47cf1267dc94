// What to run next: rank 0's side of the step loop. Requests wait in order; whenever sequences and
// pages are free the next is admitted. A step takes one token of every sequence that already
// writes, then as many prompt tokens as still fit, of the oldest prompts first.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/generate/page_pool.h"
#include "runtime/generate/step_data.h"

namespace dcc::generate {

struct Request {
  std::vector<int32_t> prompt;
  uint32_t max_new_tokens = 0;
  std::vector<int32_t> eos;  // ids that end it
  // What its draws are made by; without one the number that add() gives.
  std::optional<uint32_t> draws = {};
};

enum class Finish {
  kEos,       // an id of Request.eos, which is the last token
  kLength,    // max_new_tokens
  kContext,   // the sequence is as long as it may be
  kListener,  // the listener had enough
  kScored,    // all logits delivered
};

// Tokens of the prompts of all requests added since there was nothing to do.
struct PromptTokens {
  uint64_t done = 0, all = 0;
};

// Called on rank 0 as results arrive. `request` is the number that add() gave.
class Listener {
 public:
  virtual ~Listener() = default;
  // A step was run; its tokens follow.
  virtual void onStep(const PromptTokens&) {}
  // False ends the request.
  virtual bool onToken(uint32_t request, int32_t token) = 0;
  virtual void onFinish(uint32_t request, Finish why) = 0;
  // Logits [rows, vocab] of consecutive positions, the first at `position`; only of steps that
  // score.
  virtual Status onLogits(uint32_t /*request*/, size_t /*position*/,
                          std::span<const float> /*rows*/) {
    return Status::success();
  }
  // True: nobody wants any more, so that all requests are given up.
  virtual bool stopped() const { return false; }
};

class Scheduler {
 public:
  // kGenerate or kScore. Error: the plan lacks the entry for it.
  static Result<Scheduler> create(const Limits& limits, StepKind kind);

  // Longest sequence, prompt and new tokens together, and what limits it ("max_seq_len 1024").
  uint64_t context() const { return context_; }
  std::string contextReason() const;
  // Most sequences of a step, and so at once.
  uint32_t maxSeqs() const { return entry_.max_seqs; }

  // Queues a request; the first is number 0. `where` begins the message when it cannot be served
  // (user): no tokens, ids outside the vocabulary, a prompt longer than context().
  Result<uint32_t> add(Request request, const std::string& where);

  // Fills `step` with the next step; false when there is nothing to do. Requests that need no step
  // are finished here.
  bool next(StepData& step, Listener& listener);
  // The step was run; `tokens` are the new ones, one per row of its `sampled`.
  void done(const StepData& step, std::span<const int32_t> tokens, Listener& listener);

  // Which request and position a row (sequence) of the last step belongs to.
  struct Row {
    uint32_t request;
    size_t position;
  };
  Row row(size_t index) const;

 private:
  struct Sequence {
    uint32_t number = 0;
    uint32_t draws = 0;
    std::vector<int32_t> tokens;  // prompt, then what was generated
    size_t prompt = 0;            // tokens of the prompt
    size_t cached = 0;            // tokens whose keys and values are in the cache
    size_t longest = 0;           // of `tokens`
    bool cut = false;             // `longest` is less than was asked for
    std::vector<int32_t> eos;
    SequencePages pages;
  };
  struct Chunk {
    size_t sequence;  // in running_
    size_t tokens;
  };

  Scheduler(const Limits& limits, StepKind kind, const EntryLimits& entry);
  bool admit(Listener& listener);
  void append(const Chunk& chunk, StepData& step) const;
  void appendTables(StepData& step) const;

  Limits limits_;
  StepKind kind_;
  EntryLimits entry_;
  PagePool pool_;
  uint64_t context_;
  uint32_t added_ = 0;
  PromptTokens prompt_tokens_;
  std::deque<Sequence> waiting_;
  std::vector<Sequence> running_;
  std::vector<Chunk> chunks_;  // of the last step, by row
};

}  // namespace dcc::generate
