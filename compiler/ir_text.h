// IR as text that people read and `dcc compile` takes back.
#pragma once

#include <string>

#include "mlir/IR/BuiltinOps.h"

namespace dcc {

// With locations, each written where it is used: loc("model.layers.0.self_attn.o_proj").
std::string printIr(mlir::ModuleOp module);

}  // namespace dcc
