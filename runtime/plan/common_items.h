// What the plans of all ranks of one compilation have in common: plans of two compilations are told
// apart by what differs in it, which says more than two hashes.
#pragma once

#include <string>
#include <vector>

#include "plan_generated.h"

namespace dcc::plan {

// In a fixed order: instructions and outputs of all entries, then limits and files. For instance
// "entry prefill: instruction 9 (all_reduce of model.layers.0.self_attn.o_proj, f32 [T, 256])". The
// plan is verified.
std::vector<std::string> commonItems(const fb::Plan& plan);

// "<own> stands where <who> has <theirs>"; an item that isn't there is empty.
std::string differenceText(const std::string& own, const std::string& who,
                           const std::string& theirs);

// For plans of two ranks: where they first differ, for messages. Empty when they have everything in
// common.
std::string firstDifference(const fb::Plan& own, const std::string& who, const fb::Plan& theirs);

}  // namespace dcc::plan
