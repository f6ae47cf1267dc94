// The compiler as a list of phases. Each phase's IR can be printed, edited and compiled on.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/base/status.h"

namespace dcc {

struct Phase {
  std::string_view name;
  std::string_view summary;
  void (*addPasses)(mlir::OpPassManager&, mlir::ModuleOp);  // that make this phase's IR
};

// import, annotate, ..., specialize. The first has no passes: a frontend makes its IR.
std::span<const Phase> phases();
// Null when there is none.
const Phase* findPhase(std::string_view name);
std::string phaseNames();

// Of a module, a unit attribute: what conflicts may be gathered (--allow-implicit-gather).
inline constexpr const char* kAllowGatherAttr = "nn.allow_implicit_gather";

// Runs what follows the phase that `module` is at (its nn.phase), up to and including `last`, and
// calls `reached` at every phase, the first included. Errors name the module path of the op.
Status runPhases(mlir::ModuleOp module, std::string_view last,
                 const std::function<void(const Phase&)>& reached);

// Dialects of ours and those they need.
void registerDialects(mlir::DialectRegistry& registry);

}  // namespace dcc
