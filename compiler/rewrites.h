// The rewrites of collectives that may be switched on and off: `dcc compile --rewrite NAME=on|off`.
// The module carries what was chosen, as nn.rewrites = {NAME = true}.
#pragma once

#include <string>
#include <vector>

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/base/status.h"

namespace dcc {

// Writes the choices, "NAME=on" or "NAME=off", into the module. Errors (user): no such rewrite.
Status chooseRewrites(mlir::ModuleOp module, const std::vector<std::string>& choices);
// Those that are on, in order.
void addRewrites(mlir::OpPassManager& pm, mlir::ModuleOp module);

}  // namespace dcc
