#include "compiler/diagnostics.h"

#include "dialects/nn/NN.h"

using namespace mlir;

namespace dcc {

std::string describeLocation(Location loc) {
  if (auto file = dyn_cast<FileLineColLoc>(loc)) {
    return (file.getFilename().getValue() + ":" + Twine(file.getLine()) + ":" +
            Twine(file.getColumn()))
        .str();
  }
  return nn::moduleOf(loc).str();
}

DiagnosticCollector::DiagnosticCollector(MLIRContext* context)
    : handler_(context, [this](Diagnostic& diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error && first_.empty()) {
          std::string where = describeLocation(diagnostic.getLocation());
          first_ = where + (where.empty() ? "" : ": ") + diagnostic.str();
          // One line, whatever was quoted.
          first_ = first_.substr(0, first_.find('\n'));
        }
        return success();
      }) {}

Error DiagnosticCollector::error() const {
  if (first_.empty()) return runtimeError("internal error: a pass failed without a reason");
  return userError(first_);
}

}  // namespace dcc
