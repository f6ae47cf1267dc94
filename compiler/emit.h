// The plan dialect as plan files: a plain walk, table row by table row.
#pragma once

#include <vector>

#include "mlir/IR/BuiltinOps.h"
#include "plan_generated.h"
#include "runtime/base/status.h"

namespace dcc {

// One plan per rank, in rank order; hashes are filled in when they are packed. `module` is at the
// last phase, `specialize`.
Result<std::vector<plan::fb::PlanT>> emitPlans(mlir::ModuleOp module);

}  // namespace dcc
