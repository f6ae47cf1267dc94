// `drun bench`, but for the command itself (command.h): what every rank does for it.
#pragma once

#include "runtime/plan/plan.h"
#include "tools/drun/bench_report.h"

namespace dcc::drun {

// Collective: adds up what the ranks' plans read and measures the memory. `local_ranks` share this
// machine. Load time is left open. Errors: those of the group, no memory.
Result<BenchFacts> benchFacts(const plan::Plan& plan, uint32_t threads, uint32_t local_ranks,
                              Communicator& world);

}  // namespace dcc::drun
