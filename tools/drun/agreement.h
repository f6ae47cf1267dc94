// Before a weight is read, the ranks make sure that they run the plans of one compilation.
#pragma once

#include "runtime/collectives/communicator.h"
#include "runtime/plan/plan.h"

namespace dcc::drun {

// Collective. Error (user), on all ranks: names the first rank whose plan is not its own, or of
// another compilation than rank 0's, with the first instruction (or limit, or file) that differs.
Status checkAgreement(const plan::Plan& plan, Communicator& world);

}  // namespace dcc::drun
