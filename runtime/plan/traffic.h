// What a step reads of the weights: the least it must move through memory.
#pragma once

#include <cstdint>

#include "plan_generated.h"
#include "runtime/base/dtype.h"

namespace dcc::plan {

// Bytes on this rank.
struct WeightTraffic {
  uint64_t whole = 0;    // read from end to end in every step
  uint64_t tables = 0;   // whole tables, of which a step reads one row per token
  uint64_t experts = 0;  // all experts, of which a step reads those that its tokens are routed to
  // Of `experts`, those of one token. Whole experts are on one rank or another, so over all ranks
  // together; a rank's own is its share.
  uint64_t experts_of_token = 0;
  DType dtype = DType::kF32;  // of most of all

  // What `tokens` ask for at most: no two for the same expert.
  uint64_t expertsOf(uint64_t tokens) const;
};

// Of one entry of a verified plan. A weight counts in each instruction that reads it.
WeightTraffic weightTraffic(const fb::Plan& plan, uint32_t entry);

// How many experts, of how many on all ranks, a token is routed to.
struct Routing {
  uint64_t chosen = 1, of = 1;
};
// For an instruction of kind `experts`: what the route that its gates come from says. All of them,
// where they come from something else.
Routing routingOf(const fb::Entry& entry, uint32_t instruction);

}  // namespace dcc::plan
