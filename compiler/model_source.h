// What `dcc compile` is pointed at, as a module at some phase.
#pragma once

#include <string>

#include "compiler/compile.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/base/status.h"

namespace dcc {

// Errors (user) name the file, the key or the option.
Result<mlir::OwningOpRef<mlir::ModuleOp>> loadModel(mlir::MLIRContext& context,
                                                    const CompileOptions& options);

}  // namespace dcc
