// Tokens drawn at random, as transformers' generate draws them: repetition penalty, temperature,
// top-k, top-p, min-p, in this order. The same seed gives the same tokens at every degree of
// parallelism.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/generate/sampler.h"

namespace dcc::generate {

struct SamplingOptions {
  double temperature = 0;         // 0: the largest logit
  uint32_t top_k = 0;             // 0: all
  double top_p = 1;               // (0, 1]
  double min_p = 0;               // [0, 1): of the largest probability
  double repetition_penalty = 1;  // > 0; of logits of tokens that the sequence has
  uint64_t seed = 0;

  // Nothing of the logits is needed but the largest.
  bool greedy() const { return temperature == 0 && repetition_penalty == 1; }
};

std::unique_ptr<Sampler> makeSampler(const SamplingOptions& options, Communicator& world);

}  // namespace dcc::generate
