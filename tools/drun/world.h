// How many ranks there are and where, by the command line, the environment and the plans, which
// must agree.
#pragma once

#include <cstdint>

#include "runtime/base/status.h"
#include "runtime/launch/launcher.h"
#include "runtime/launch/nodes.h"
#include "runtime/launch/place.h"
#include "tools/drun/options.h"

namespace dcc::drun {

// What the launcher of this host is to start: ranks, and of several hosts its share of them. Errors
// (user): --nproc and --nnodes don't make as many ranks as the plans are for, or TP_SIZE and its
// like are not the plans'; a --store-port that nobody would use; plan::verifyDirectory()'s.
Result<launch::LaunchOptions> ranksToLaunch(const Options& options, const launch::Nodes& nodes);

// Of ranks that somebody else starts: `place`, its world size being the plans' where the starter
// says none. Errors (user): another world size than the plans are for, or TP_SIZE and its like are
// not the plans'; plan::verifyDirectory()'s.
Result<launch::Place> placeInWorld(const Options& options, launch::Place place);

}  // namespace dcc::drun
