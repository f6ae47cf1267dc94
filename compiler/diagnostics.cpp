#include "compiler/diagnostics.h"

#include <cstdio>

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
        std::string where = describeLocation(diagnostic.getLocation());
        std::string line = where + (where.empty() ? "" : ": ") + diagnostic.str();
        line = line.substr(0, line.find('\n'));  // whatever was quoted
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error && first_.empty()) first_ = line;
        // Entries have the same modules.
        if (diagnostic.getSeverity() == DiagnosticSeverity::Warning &&
            warned_.insert(line).second) {
          std::fprintf(stderr, "warning: %s\n", line.c_str());
        }
        return success();
      }) {}

Error DiagnosticCollector::error() const {
  if (first_.empty()) return runtimeError("internal error: a pass failed without a reason");
  return userError(first_);
}

}  // namespace dcc
