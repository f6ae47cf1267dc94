// `drun bench`, but for the command itself (command.h): what every rank does for it.
#pragma once

#include <span>

#include "runtime/plan/plan.h"
#include "tools/drun/bench_report.h"

namespace dcc::drun {

// Collective: adds up what the ranks' plans read. Load time and bandwidth are left open. Errors:
// those of the group.
Result<BenchFacts> benchFacts(const plan::Plan& plan, uint32_t threads, Communicator& world);

// Collective: how fast the memory is in which the ranks have their weights, or other memory where
// caches may hold those. `local_ranks` share this machine. Errors: those of the group, no memory.
Result<double> weightBandwidth(std::span<const std::byte> weights, uint32_t threads,
                               uint32_t local_ranks, Communicator& world);

}  // namespace dcc::drun
