// drun tokenize: no ranks, no weights.
#pragma once

#include "tools/drun/options.h"

namespace dcc::drun {

// One output line per input line. Errors (user) name the line; those before it are printed.
Status tokenize(const Options& options);

}  // namespace dcc::drun
