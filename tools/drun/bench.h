// `drun bench`, but for the command itself (command.h): what every rank does for it.
#pragma once

#include "runtime/plan/plan.h"
#include "tools/drun/bench_report.h"

namespace dcc::drun {

// Collective: adds up what the ranks' plans read. Load time and bandwidth are left open. Errors:
// those of the group.
Result<BenchFacts> benchFacts(const plan::Plan& plan, uint32_t threads, Communicator& world);

}  // namespace dcc::drun
