// The times of one measured pass.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/collectives/communicator.h"
#include "runtime/generate/scheduler.h"

namespace dcc::drun {

// The smallest of `values` that at least `share` (0 to 1) of them don't exceed; 0 of none.
double percentile(std::vector<double> values, double share);

// Told of each step and token as a generate::Listener is, with seconds since the pass began.
class BenchTimes {
 public:
  explicit BenchTimes(uint32_t sequences) : first_(sequences, -1) {}

  // `moved`: what this rank has moved in the steps' collectives so far.
  void step(const generate::PromptTokens& prompts, double now, const Traffic& moved = {});
  void token(uint32_t sequence);

  double promptTokens() const { return static_cast<double>(prompts_.all); }
  // Until all prompts were processed, and with them what others already wrote meanwhile.
  double prefillSeconds() const { return prefill_; }
  // From the beginning of all to a sequence's first token, the mean.
  double firstTokenSeconds() const;
  // Of the steps that read nothing of a prompt: the time of each, which is that from one token of a
  // sequence to its next, and the tokens of all together.
  const std::vector<double>& decodeSteps() const { return decode_; }
  double decodeSeconds() const;
  uint64_t decodeTokens() const { return decode_tokens_; }
  // What this rank moved in steps that read prompts, and in those that didn't.
  const Traffic& prefillTraffic() const { return prefill_traffic_; }
  const Traffic& decodeTraffic() const { return decode_traffic_; }

 private:
  generate::PromptTokens prompts_;
  double now_ = 0, prefill_ = 0;
  bool decoding_ = false;  // the last step did
  std::vector<double> first_;
  std::vector<double> decode_;
  uint64_t decode_tokens_ = 0;
  Traffic moved_, prefill_traffic_, decode_traffic_;
};

}  // namespace dcc::drun
