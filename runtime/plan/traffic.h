// What a step reads of the weights: the least it must move through memory.
#pragma once

#include <cstdint>

#include "plan_generated.h"
#include "runtime/base/dtype.h"

namespace dcc::plan {

// Bytes on this rank.
struct WeightTraffic {
  uint64_t whole = 0;         // read from end to end in every step
  uint64_t tables = 0;        // whole tables, of which a step reads one row per token
  DType dtype = DType::kF32;  // of most of `whole`
};

// Of one entry of a verified plan. A weight counts in each instruction that reads it.
WeightTraffic weightTraffic(const fb::Plan& plan, uint32_t entry);

}  // namespace dcc::plan
