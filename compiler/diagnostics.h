// MLIR's diagnostics as errors of one line: "<module path or file:line>: <message>".
#pragma once

#include <set>
#include <string>

#include "mlir/IR/Diagnostics.h"
#include "runtime/base/status.h"

namespace dcc {

// Collects the errors of a context while it lives, and prints each warning once. IR is never shown
// to users.
class DiagnosticCollector {
 public:
  explicit DiagnosticCollector(mlir::MLIRContext* context);
  // The first error; "internal error" when a pass failed without saying why.
  Error error() const;

 private:
  std::string first_;
  std::set<std::string> warned_;
  mlir::ScopedDiagnosticHandler handler_;
};

// "model.layers.0.self_attn.q_proj", "file.mlir:12:3", "" where nothing is known.
std::string describeLocation(mlir::Location loc);

}  // namespace dcc
