// Local types against the whole they are cut from.
#pragma once

#include "dialects/dist/Dist.h"

namespace dcc::nn {

/// Inside a dist.program: `local` is what each of its ranks holds of `whole`, as its placement
/// says. Elsewhere nothing is said. Emits the error at `op`.
mlir::LogicalResult verifyLocal(mlir::Operation* op, TensorType local, TensorType whole);

}  // namespace dcc::nn
