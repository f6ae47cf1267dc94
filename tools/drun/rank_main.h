// What a rank does: the same on all of them, but that rank 0 also has a command to lead.
#pragma once

#include "runtime/launch/rank.h"
#include "tools/drun/options.h"

namespace dcc::drun {

Status rankMain(const Options& options, launch::Rank& rank);

}  // namespace dcc::drun
