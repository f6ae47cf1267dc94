// drun doctor: what drun finds on this machine, and so why it runs as it does.
#pragma once

#include "tools/drun/findings.h"
#include "tools/drun/options.h"

namespace dcc::drun {

// What is missing is a finding, never an error. `root` replaces "/" in tests.
Findings examine(const std::string& root = "");

// Prints it. Errors (runtime): stdout cannot be written.
Status doctor(const Options& options);

}  // namespace dcc::drun
