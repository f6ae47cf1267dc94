// What a rank's program says to its groups, written out independently of the verifier.
#pragma once

#include <string>

#include "plan_generated.h"

namespace dcc::mutations {

// One line per collective of every entry: all that the others of its group can notice. Equal texts
// mean equal sequences.
std::string sequenceOf(const plan::fb::PlanT& plan);

}  // namespace dcc::mutations
