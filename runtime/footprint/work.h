// What the instructions of a step have to read and compute, from the plan alone: what the times of
// a trace are shares of.
#pragma once

#include <cstdint>
#include <span>

#include "plan_generated.h"
#include "runtime/executor/step.h"

namespace dcc::footprint {

struct Work {
  // Of weights, and of keys and values, each read once; of a collective those that the rank puts
  // in. Values between instructions are not in it: they stay in caches, or should.
  uint64_t bytes = 0;
  // Of products and of attention, 2 for a multiplication with its addition. What else there is (an
  // exponential, a norm) takes time but has no agreed count.
  uint64_t flops = 0;
};

// One instruction of a verified plan's entry. `sizes` are the step's (sizesAt). Of routed experts:
// bytes as if no two tokens shared one, FLOPs as if every rank's experts were chosen as often.
Work workOf(const plan::fb::Plan& plan, const plan::fb::Entry& entry, uint32_t instruction,
            std::span<const int64_t> sizes, std::span<const SequencePart> sequences);

}  // namespace dcc::footprint
