// The times of one measured pass.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/collectives/communicator.h"
#include "runtime/generate/scheduler.h"

namespace dcc::drun {

// The smallest of `values` that at least `share` (0 to 1) of them don't exceed; 0 of none.
double percentile(std::vector<double> values, double share);

// What all ranks have read of their memory at once, and how long that took.
struct Reading {
  double bytes = 0, seconds = 0;

  Reading operator-(const Reading& other) const {
    return {bytes - other.bytes, seconds - other.seconds};
  }
};

// Where things stand after a step, of a pass that began with none of it.
struct Mark {
  double now = 0;      // seconds, without those of `reading`
  double waited = 0;   // seconds that rank 0 only waited for its device
  Traffic moved = {};  // by rank 0, in the steps' collectives
  Reading reading = {};
};

// Told of each step and token as a generate::Listener is.
class BenchTimes {
 public:
  explicit BenchTimes(uint32_t sequences) : first_(sequences, -1) {}

  void step(const generate::PromptTokens& prompts, const Mark& mark);
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
  // Of each of them, what rank 0 did not only wait for its device.
  const std::vector<double>& decodeHost() const { return decode_host_; }
  // What was read meanwhile.
  const Reading& reading() const { return last_.reading; }
  uint64_t decodeTokens() const { return decode_tokens_; }
  // What this rank moved in steps that read prompts, and in those that didn't.
  const Traffic& prefillTraffic() const { return prefill_traffic_; }
  const Traffic& decodeTraffic() const { return decode_traffic_; }

 private:
  generate::PromptTokens prompts_;
  Mark last_;
  double prefill_ = 0;
  bool decoding_ = false;  // the last step did
  std::vector<double> first_;
  std::vector<double> decode_, decode_host_;
  uint64_t decode_tokens_ = 0;
  Traffic prefill_traffic_, decode_traffic_;
};

}  // namespace dcc::drun
