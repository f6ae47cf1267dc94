// Data parallelism: where a rank stands in it. Each replica of the model is the ranks that have the
// same coordinate on the axis "dp"; texts are dealt to the replicas in turn.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/plan/plan.h"

namespace dcc::drun {

struct Replica {
  uint32_t index = 0, count = 1;
  std::vector<std::vector<uint32_t>> groups;  // ranks of each replica; the first leads it

  // Whose text i is.
  bool has(uint64_t text) const { return text % count == index; }
};

// Of a verified plan.
Replica replicaOf(const plan::Plan& plan);

}  // namespace dcc::drun
