// From logits to tokens. The vocabulary is cut over the ranks, so a sampler is a collective: every
// rank calls it with its columns and all get the same tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "runtime/collectives/communicator.h"
#include "runtime/generate/runner.h"
#include "runtime/generate/step_data.h"

namespace dcc::generate {

class Sampler {
 public:
  virtual ~Sampler() = default;
  // One token for each row of step.sampled. Called for every step that generates, also when nothing
  // is sampled. Error (runtime): a logit is not a number.
  virtual Status sample(const LogitsPart& logits, const StepData& step, std::span<int32_t> tokens) {
    return sampleRows(logits, step.sampled, tokens);
  }
  // The most likely token of each of these rows.
  virtual Status sampleRows(const LogitsPart& logits, std::span<const int32_t> rows,
                            std::span<int32_t> tokens) = 0;
};

// The largest logit; among equals the lowest id. Ranks exchange 8 bytes per row.
std::unique_ptr<Sampler> greedySampler(Communicator& world);

}  // namespace dcc::generate
