// Before a weight is read, the ranks make sure that they run the plans of one compilation.
#pragma once

#include "runtime/collectives/communicator.h"
#include "runtime/plan/plan.h"

namespace dcc::drun {

// Collective. Error (user), on all ranks: names the first rank whose plan is not its own, or of
// another compilation than rank 0's, with the first instruction (or limit, or file) that differs.
Status checkAgreement(const plan::Plan& plan, Communicator& world);

// Collective: ends the group with an error that all ranks have found: `rank`, which it is about,
// says it, the others hear of it, so that it is said once.
Status sayOnce(uint32_t rank, const Error& error, Communicator& world);

}  // namespace dcc::drun
